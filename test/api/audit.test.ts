/** How many audit lines refusals make. */
import { expect, test } from "bun:test";
import { createAudit } from "../../src/api/audit.ts";
import { limits } from "../../src/base/limits.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { HandClock } from "../support/hand-clock.ts";

interface Line {
  readonly message: string;
  readonly address: string;
  readonly leftOut?: number;
}

function open() {
  const clock = new HandClock();
  const lines: Line[] = [];
  const log = createLogger({ level: "info", clock, write: (line) => lines.push(JSON.parse(line)) });
  const audit = createAudit([log], clock);
  const refuse = (address: string) => {
    const sender = { authorization: "Bearer x", address: () => address, call: "GET /" };
    audit.refused(sender, "UNAUTHENTICATED", undefined);
  };
  return { clock, lines, refuse };
}

test("of one address some are lines and the rest is counted; others are not affected", async () => {
  const { clock, lines, refuse } = open();
  for (let n = 0; n < 1_000; n++) refuse("10.0.0.1");
  refuse("10.0.0.2");
  expect(lines.filter(({ address }) => address === "10.0.0.1")).toHaveLength(
    limits.auditRefusalsMax,
  );
  expect(lines.at(-1)).toMatchObject({ message: "refused", address: "10.0.0.2" });
  await clock.pass(limits.auditRefusalMs);
  expect(lines.at(-1)).toMatchObject({
    message: "refusals were left out",
    address: "10.0.0.1",
    leftOut: 1_000 - limits.auditRefusalsMax,
  });
  refuse("10.0.0.1");
  expect(lines.at(-1)).toMatchObject({ message: "refused", address: "10.0.0.1" });
});

test("addresses beyond a number share the lines of one", async () => {
  const { clock, lines, refuse } = open();
  const many = 10 * limits.auditAddressesMax;
  for (let n = 0; n < many; n++) refuse(`10.0.${n >> 8}.${n & 255}`);
  const most = limits.auditAddressesMax + limits.auditRefusalsMax;
  expect(lines.length).toBeGreaterThanOrEqual(limits.auditAddressesMax);
  expect(lines.length).toBeLessThanOrEqual(most);
  await clock.pass(limits.auditRefusalMs);
  refuse("10.9.9.9");
  expect(lines.at(-1)).toMatchObject({ message: "refused", address: "10.9.9.9" });
});
