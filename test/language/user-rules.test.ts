import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { retryDelayMs, userRules } from "../../src/language/user-rules.ts";

describe("rules", () => {
  test("of an action that nobody has registered are the defaults of the language", () => {
    expect(userRules({}, undefined)).toEqual({
      retryCount: 3,
      retryAfterMs: 1_000,
      retryPolicy: "EXPONENTIAL",
      maxRetryAfterMs: 60_000,
      jitter: 0.2,
      nonRetryable: [],
      timeoutMs: 300_000,
      heartbeatMs: 0,
      queueTimeoutMs: 0,
      totalTimeoutMs: 0,
    });
  });

  test("the workflow overrides the definition, field by field", () => {
    const registered = {
      name: "a",
      retryCount: 9,
      jitter: 0,
      timeoutSeconds: 2,
      heartbeatSeconds: 4,
    };
    const rules = userRules({ retryCount: 0, timeoutSeconds: 1.5 }, registered);
    expect(rules).toMatchObject({ retryCount: 0, jitter: 0, timeoutMs: 1_500, heartbeatMs: 4_000 });
  });

  test("short times stay times; an attempt never has none", () => {
    expect(
      userRules({ timeoutSeconds: 0.0001, retryAfterSeconds: 0.0001 }, undefined),
    ).toMatchObject({
      timeoutMs: 1,
      retryAfterMs: 1,
    });
    expect(userRules({ timeoutSeconds: 0 }, undefined).timeoutMs).toBe(300_000);
  });

  test("a longer delay than the default bound is meant, a bound that is given holds", () => {
    expect(userRules({ retryAfterSeconds: 120 }, undefined).maxRetryAfterMs).toBe(120_000);
    const bounded = userRules({ retryAfterSeconds: 120, maxRetryAfterSeconds: 30 }, undefined);
    expect(retryDelayMs(bounded, 1, 0.5)).toBe(30_000);
  });
});

describe("delays", () => {
  const delays = (retryPolicy: "FIXED" | "BACKOFF" | "EXPONENTIAL") => {
    const rules = userRules({ retryPolicy, retryAfterSeconds: 2, jitter: 0 }, undefined);
    return [1, 2, 3, 4, 30].map((attempt) => retryDelayMs(rules, attempt, 0.9));
  };

  test("follow the policy, up to the bound", () => {
    expect(delays("FIXED")).toEqual([2_000, 2_000, 2_000, 2_000, 2_000]);
    expect(delays("BACKOFF")).toEqual([2_000, 4_000, 6_000, 8_000, 60_000]);
    expect(delays("EXPONENTIAL")).toEqual([2_000, 4_000, 8_000, 16_000, 60_000]);
  });

  test("are spread by the jitter to both sides", () => {
    const rules = userRules({ retryPolicy: "FIXED", retryAfterSeconds: 10 }, undefined);
    expect(retryDelayMs(rules, 1, 0)).toBe(8_000);
    expect(retryDelayMs(rules, 1, 0.5)).toBe(10_000);
    expect(retryDelayMs(rules, 1, 1)).toBe(12_000);
  });

  test("are whole milliseconds between nothing and the bound, whatever the rules", () => {
    const seconds = fc.double({ min: 0, max: 1e8, noNaN: true });
    const rules = fc.record({
      retryPolicy: fc.constantFrom("FIXED", "BACKOFF", "EXPONENTIAL"),
      retryAfterSeconds: seconds,
      maxRetryAfterSeconds: seconds,
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const random = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(rules, fc.integer({ min: 1, max: 2_000 }), random, (given, attempt, chance) => {
        const filled = userRules(given, undefined);
        const delay = retryDelayMs(filled, attempt, chance);
        expect(Number.isInteger(delay)).toBe(true);
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThanOrEqual(filled.maxRetryAfterMs);
      }),
    );
  });
});
