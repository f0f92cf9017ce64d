/** Requests to AWS, against a service that does the worst at the right moment. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type AwsAttempt, AwsClient } from "../../src/aws/client.ts";
import { Refreshed } from "../../src/aws/credentials.ts";
import { AwsFault } from "../../src/aws/faults.ts";
import type { Clock } from "../../src/base/clock.ts";
import { systemClock } from "../../src/base/clock.ts";
import {
  type AwsProxy,
  failure,
  refusal,
  startAwsProxy,
  type Trouble,
} from "../support/aws-proxy.ts";
import { freePort } from "../support/ports.ts";

const secret = "a secret that appears nowhere";
const attemptMs = 60_000;

let service: AwsProxy;
let attempts: AwsAttempt[];
/** Pauses pass at once and are noted; an attempt is late when the test says so. */
let pauses: number[];
let tooLate: (() => void) | undefined;
let passedMs = 0;

const clock: Clock = {
  now: () => Date.now() + passedMs,
  elapsed: () => passedMs,
  after(ms, callback) {
    if (ms === attemptMs) {
      tooLate = () => {
        passedMs += ms;
        callback();
      };
      return () => {};
    }
    pauses.push(ms);
    passedMs += ms;
    setImmediate(callback);
    return () => {};
  },
  soon: systemClock.soon,
};

function client(
  options: { endpoint?: string; inFlightMax?: number; random?: () => number; clock?: Clock } = {},
): AwsClient {
  return new AwsClient({
    service: "dynamodb",
    region: "eu-west-1",
    endpoint: service.endpoint,
    credentials: new Refreshed(clock, async () => ({
      accessKeyId: `key ${++loads}`,
      secretAccessKey: secret,
      sessionToken: "a session",
    })),
    clock,
    random: () => 0.5,
    onAttempt: (attempt) => attempts.push(attempt),
    ...options,
  });
}

let loads = 0;

beforeEach(async () => {
  [attempts, pauses, passedMs, loads, tooLate] = [[], [], 0, 0, undefined];
  service = await startAwsProxy(() => ({ status: 200, body: { done: true } }));
});
afterEach(() => service.stop());

/** The first replies are these; then all passes. */
function first(...troubles: Trouble[]): void {
  service.trouble = () => troubles.shift();
}

function fault(call: Promise<object>): Promise<AwsFault> {
  return call.then(
    () => {
      throw new Error("it succeeded");
    },
    (error) => {
      expect(error).toBeInstanceOf(AwsFault);
      expect(`${error.message} ${JSON.stringify(error)}`).not.toContain(secret);
      return error as AwsFault;
    },
  );
}

const put = (options = {}) => client().call("PutItem", { Item: 1 }, { attemptMs, ...options });

test("a request carries its operation, its time and its signature", async () => {
  expect(await put()).toEqual({ done: true });
  const [{ headers, body }] = service.requests as [(typeof service.requests)[0]];
  expect(headers["x-amz-target"]).toBe("DynamoDB_20120810.PutItem");
  expect(headers["x-amz-security-token"]).toBe("a session");
  expect(headers.authorization).toMatch(
    /^AWS4-HMAC-SHA256 Credential=key 1\/\d{8}\/eu-west-1\/dynamodb\/aws4_request, SignedHeaders=host;x-amz-date;x-amz-security-token;x-amz-target, Signature=[0-9a-f]{64}$/,
  );
  expect(body).toEqual({ Item: 1 });
  expect(attempts).toEqual([{ operation: "PutItem", outcome: "ok", body: { done: true } }]);
});

test("requests go over one connection", async () => {
  const ports = new Set<string>();
  const kept = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request, server) {
      ports.add(`${server.requestIP(request)?.port}`);
      return Response.json({});
    },
  });
  const one = client({ endpoint: `http://127.0.0.1:${kept.port}` });
  for (let i = 0; i < 5; i++) await one.call("GetItem", {}, { attemptMs });
  expect(ports.size).toBe(1);
  await kept.stop(true);
});

test("no more are under way than may be; the others come in order, in time or not at all", async () => {
  const held: (() => void)[] = [];
  service.trouble = async () => {
    await new Promise<void>((resolve) => held.push(resolve));
    return undefined;
  };
  const one = client({ inFlightMax: 2 });
  const call = (n: number) => one.call("PutItem", { n }, { attemptMs, deadlineMs: 1_000 });
  const calls = [1, 2, 3, 4].map(call);
  while (held.length < 2) await Bun.sleep(1);
  held.shift()!();
  while (service.requests.length < 3) await Bun.sleep(1);
  expect(held.length).toBe(2);
  expect(service.requests.map(({ body }) => body.n).toSorted()).toEqual([1, 2, 3]);
  passedMs += 2_000;
  for (const resume of held) resume();
  const last = await fault(calls[3]!);
  expect(last).toMatchObject({ outcome: "not_applied", code: "TooBusy" });
  expect(await Promise.all(calls.slice(0, 3))).toHaveLength(3);
  expect(service.requests).toHaveLength(3);
});

describe("what was certainly not applied is sent again", () => {
  const conflict = refusal("TransactionCanceledException", "cancelled", {
    CancellationReasons: [{ Code: "None" }, { Code: "TransactionConflict" }],
  });
  test.each([
    ["throttling", refusal("ProvisionedThroughputExceededException")],
    ["throttling of the account", refusal("ThrottlingException")],
    ["a transaction in the way", conflict],
    ["throttling with a status of failures", { ...refusal("ThrottlingException"), status: 503 }],
  ])("%s", async (_, trouble) => {
    first(trouble, trouble, trouble);
    expect(await put()).toEqual({ done: true });
    expect(service.requests).toHaveLength(4);
    expect(pauses).toEqual([25, 50, 100]);
    expect(attempts.map(({ outcome }) => outcome).at(-1)).toBe("ok");
    expect(attempts).toHaveLength(4);
  });

  test("up to a bound, and says so", async () => {
    service.trouble = () => refusal("ThrottlingException", "slow down");
    const { outcome, code, message } = await fault(put({ deadlineMs: 600_000 }));
    expect({ outcome, code, message }).toEqual({
      outcome: "not_applied",
      code: "ThrottlingException",
      message: "PutItem: ThrottlingException: slow down",
    });
    expect(service.requests).toHaveLength(10);
    expect(Math.max(...pauses)).toBe(1_000);
  });

  test("until the deadline", async () => {
    service.trouble = () => refusal("ThrottlingException");
    await fault(put({ deadlineMs: 100 }));
    // 25 and 50 milliseconds have passed; 100 more would be too late.
    expect(pauses).toEqual([25, 50]);
  });

  test("until the caller ends a pause; then nothing more is sent", async () => {
    service.trouble = () => refusal("ThrottlingException");
    const ending = new AbortController();
    const endless: Clock = {
      ...clock,
      after(ms) {
        if (ms !== attemptMs) setImmediate(() => ending.abort());
        return () => {};
      },
    };
    const options = { attemptMs, signal: ending.signal };
    const failing = fault(client({ clock: endless }).call("PutItem", {}, options));
    expect(await failing).toMatchObject({ outcome: "not_applied", code: "ThrottlingException" });
    expect(service.requests).toHaveLength(1);
  });

  test("nobody listens: not applied", async () => {
    const none = client({ endpoint: `http://127.0.0.1:${freePort()}` });
    const { outcome, code } = await fault(none.call("PutItem", {}, { attemptMs }));
    expect({ outcome, code }).toEqual({ outcome: "not_applied", code: "ECONNREFUSED" });
    expect(pauses.length).toBeGreaterThan(3);
  });
});

describe("what may have been applied", () => {
  test.each([
    ["cut", "ECONNRESET"],
    ["failed after", "InternalServerError"],
    ["cut before", "ECONNRESET"],
  ] as const)("is not sent again by itself: %s", async (trouble, code) => {
    first(trouble);
    expect(await fault(put())).toMatchObject({ outcome: "unknown", code });
    expect(service.requests).toHaveLength(1);
  });

  test("is sent again where that does no harm", async () => {
    first("cut", failure, "failed after");
    expect(await put({ isRepeatable: true })).toEqual({ done: true });
    expect(service.requests).toHaveLength(4);
  });

  test("stays unknown, whatever becomes of the last attempt", async () => {
    first("cut", refusal("ValidationException"));
    const { outcome, code } = await fault(put({ isRepeatable: true }));
    expect({ outcome, code }).toEqual({ outcome: "unknown", code: "ValidationException" });
  });

  test("silence is given up", async () => {
    first("silent");
    const failing = fault(put());
    while (service.requests.length === 0) await Bun.sleep(1);
    tooLate!();
    expect(await failing).toMatchObject({ outcome: "unknown", code: "TimeoutError" });
  });

  test("a caller can end it", async () => {
    first("silent");
    const ending = new AbortController();
    const failing = fault(put({ signal: ending.signal, isRepeatable: true }));
    while (service.requests.length === 0) await Bun.sleep(1);
    ending.abort();
    expect(await failing).toMatchObject({ outcome: "unknown" });
    expect(service.requests).toHaveLength(1);
  });

  test("a response that is cut short", async () => {
    first({ status: 200, body: '{"done":' });
    expect(await fault(put())).toMatchObject({ outcome: "unknown", code: "SyntaxError" });
  });
});

test("other refusals come through, with all that they say", async () => {
  first(refusal("ConditionalCheckFailedException", "no", { Item: { v: { N: "1" } } }));
  const { outcome, code, body } = await fault(put());
  expect({ outcome, code }).toEqual({
    outcome: "not_applied",
    code: "ConditionalCheckFailedException",
  });
  expect(body.Item).toEqual({ v: { N: "1" } });
  expect(service.requests).toHaveLength(1);
});

test("a transaction whose condition failed is not repeated, whatever else was in its way", async () => {
  const reasons = [{ Code: "ConditionalCheckFailed" }, { Code: "TransactionConflict" }];
  first(refusal("TransactionCanceledException", "no", { CancellationReasons: reasons }));
  await fault(put());
  expect(service.requests).toHaveLength(1);
});

test("a clock that is wrong is corrected by the service's date", async () => {
  const aheadMs = 3_600_000;
  const skewed = refusal("InvalidSignatureException", "Signature expired");
  const date = new Date(Date.now() + aheadMs).toUTCString();
  first({ ...skewed, headers: { date } });
  const one = client();
  expect(await one.call("PutItem", {}, { attemptMs })).toEqual({ done: true });
  const [wrong, right] = service.requests.map(({ headers }) => `${headers["x-amz-date"]}`);
  const form = /(....)(..)(..T..)(..)(..Z)/;
  const ms = (time = "") => Date.parse(time.replace(form, "$1-$2-$3:$4:$5"));
  // To the second of the header, and that of the signature.
  expect(Math.abs(ms(right) - ms(wrong) - aheadMs)).toBeLessThanOrEqual(120_000);
  expect(pauses).toEqual([0]);
});

test("a clock that is set while it runs changes nothing", async () => {
  let shiftMs = 0;
  const own = { ...clock, now: () => 1_760_000_000_000 + passedMs + shiftMs };
  const one = client({ clock: own });
  await one.call("PutItem", {}, { attemptMs });
  const before = one.timeOffset;
  shiftMs = -3_600_000;
  expect(one.timeOffset).toBe(before + 3_600_000);
});

test("credentials that are refused are fetched anew, once", async () => {
  first(refusal("ExpiredTokenException"));
  expect(await put()).toEqual({ done: true });
  const keys = service.requests.map(({ headers }) => /key \d/.exec(headers.authorization!)?.[0]);
  expect(keys).toEqual(["key 1", "key 2"]);
  service.trouble = () => refusal("UnrecognizedClientException");
  expect(await fault(put())).toMatchObject({ outcome: "not_applied" });
  expect(service.requests).toHaveLength(4);
});

test("an endpoint that is no URL is refused", () => {
  expect(() => client({ endpoint: "localhost:8000" })).toThrow(
    "The endpoint of dynamodb must be a URL such as http://localhost:8000.",
  );
});
