/** What the log says of a broker, and of queues that fail beside others that work. */
import { expect, test } from "bun:test";
import { BrokerFault } from "../../../src/brokers/message.ts";
import { BrokerHealth } from "../../../src/runtime/dispatch/broker-health.ts";
import { createLogger } from "../../../src/telemetry/log.ts";
import { HandClock } from "../../support/hand-clock.ts";

const passing = new Error("no reply");
const refused = new BrokerFault("access denied", { permanent: true });

function open() {
  const clock = new HandClock();
  const lines: { message: string; queue?: string; command?: string }[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line));
  const log = createLogger({ level: "warn", clock, write });
  const creation = (queue: string) => `create ${queue}`;
  const health = new BrokerHealth({ name: "SQS", clock, log, creation });
  const messages = () => lines.map(({ message, queue = "" }) => `${message} ${queue}`.trim());
  return { clock, health, lines, messages };
}

const cannot = "a queue for tickets cannot be used; if it is missing, create it";

test("a queue that is refused is logged once, with what creates it, and is no outage", async () => {
  const { clock, health, lines, messages } = open();
  for (let n = 0; n < 10; n++) {
    health.failed("receive", "dead", refused);
    health.succeeded("receive", "alive");
    await clock.pass(10_000);
  }
  expect(lines).toEqual([
    expect.objectContaining({ message: cannot, queue: "dead", command: "create dead" }),
  ]);
  expect([health.isAwayFor("dead"), health.isAwayFor("alive")]).toEqual([true, false]);
  // Servers look into the store for it, until no poll waits for it any more.
  expect(health.isAway).toBe(true);
  health.forget("dead");
  expect(health.isAway).toBe(false);
  health.failed("receive", "dead", refused);
  health.succeeded("receive", "dead");
  expect(messages().slice(1)).toEqual(["a queue for tickets can be used again dead"]);
  expect(health.isAway).toBe(false);
});

test("a queue that gets no replies beside others that do is its own trouble, too", async () => {
  const { clock, health, messages } = open();
  health.succeeded("receive", "alive");
  for (let n = 0; n < 10; n++) {
    health.failed("receive", "dead", passing);
    await clock.pass(5_000);
    health.succeeded("receive", "alive");
    await clock.pass(5_000);
  }
  // The first failure might have been one of the broker.
  expect(messages()).toEqual([
    "The task queue (SQS) is away",
    "The task queue (SQS) is back",
    `${cannot} dead`,
  ]);
});

test("a dead queue does not hide that the broker goes, and comes back", async () => {
  const { clock, health, messages } = open();
  const dead = () => health.failed("receive", "dead", refused);
  dead();
  health.succeeded("receive", "alive");
  await clock.pass(10_000);
  for (let n = 0; n < 5; n++) {
    dead();
    health.failed("receive", "alive", passing);
    health.failed("send", "alive", passing);
    await clock.pass(10_000);
  }
  expect(health.isAwayFor("alive")).toBe(true);
  for (let n = 0; n < 3; n++) {
    dead();
    health.succeeded("receive", "alive");
    health.succeeded("send", "alive");
    await clock.pass(10_000);
  }
  expect(messages()).toEqual([
    `${cannot} dead`,
    "The task queue (SQS) is away",
    "The task queue (SQS) is back",
  ]);
});

test("a late failure of a time when the broker was away is nobody's own", async () => {
  const { clock, health, messages } = open();
  health.failed("receive", "a", passing);
  health.failed("receive", "b", passing);
  await clock.pass(1_000);
  health.succeeded("receive", "a");
  health.failed("receive", "b", passing);
  await clock.pass(4_000);
  health.succeeded("receive", "b");
  health.succeeded("receive", "a");
  expect(messages()).toEqual(["The task queue (SQS) is away", "The task queue (SQS) is back"]);
});
