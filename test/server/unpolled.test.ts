/** Tasks that no worker polls for: one line in the log, and a mark in the execution. */
import { afterEach, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { openRecordsStore } from "../../src/store/records/records-store.ts";
import type { Store } from "../../src/store/store.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { MemoryRecordsDriver } from "../support/memory-records.ts";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
} from "../support/orchy.ts";
import { redisMissing, startRedis, until } from "../support/redis.ts";

const servers: TestServer[] = [];
let aheadMs = 0;
const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
afterEach(async () => {
  aheadMs = 0;
  for (const server of servers.splice(0)) await server.remove();
});

interface Watched {
  readonly server: TestServer;
  /** What was warned of, as `queue/action`. */
  readonly warned: () => string[];
}

async function open(
  parts: { store?: Store; clock?: typeof clock },
  store?: string,
): Promise<Watched> {
  const lines: string[] = [];
  const log = createLogger({ level: "warn", clock, write: (line) => lines.push(line) });
  const server = await startTestServer({ ...(store && { store }), parts: { ...parts, log } });
  servers.push(server);
  const warned = () =>
    lines
      .map((line) => JSON.parse(line))
      .filter(({ message }) => message === "tasks wait, and no worker polls for them")
      .map(({ queue, action, waitingMs }) => {
        expect(waitingMs).toBeGreaterThanOrEqual(limits.unpolledMs);
        return `${queue}/${action}`;
      });
  return { server, warned };
}

const poll = async (server: TestServer, action: string, more: object = {}) =>
  (await call(server, "POST", "/orchy.v1.WorkerService/Poll", { actions: [action], ...more })).body
    .tasks ?? [];

/** An execution whose one task is for this action. */
async function begin(server: TestServer, action: string, more: object = {}): Promise<string> {
  const name = action.replace(/\W/g, "-");
  await saveWorkflow(server, {
    name,
    rootAction: 1,
    actions: [{ id: 1, type: "user", name: action, ...more }],
  });
  return startExecution(server, name);
}

const actionOf = async (server: TestServer, id: string) =>
  (await call(server, "GET", `/v1/executions/${id}`)).body.actions[0];

/** A minute passes, in steps, until it is so. */
function later(fits: () => boolean): Promise<void> {
  const most = aheadMs + 60_000;
  return until(async () => {
    aheadMs = Math.min(aheadMs + 500, most);
    return fits();
  });
}

test.each([
  ["a store that counts leased tasks", () => new MemoryStore({ partitions: 4 })],
  [
    "one that does not",
    () => openRecordsStore(new MemoryRecordsDriver({ partitions: 4 }), { nonce: "n", clock }),
  ],
])(
  "a task without any poll for 10 s is reported once, and seen in its execution: %s",
  async (_name, openStore) => {
    const { server, warned } = await open({ store: openStore(), clock });
    const busy = [await begin(server, "busy"), await begin(server, "busy")];
    expect(await poll(server, "busy")).toHaveLength(1);
    const ids = [
      await begin(server, "mail/send", { queue: "slow" }),
      await begin(server, "mail/send", { queue: "slow" }),
    ];
    expect(await actionOf(server, ids[0]!)).not.toHaveProperty("unpolled");
    // Another queue of the same action is another matter.
    expect(await poll(server, "mail/send")).toEqual([]);

    await later(() => warned().length > 0);
    expect(warned()).toEqual(["slow/mail/send"]);
    for (const id of ids) {
      expect(await actionOf(server, id)).toMatchObject({ status: "SCHEDULED", unpolled: true });
    }
    for (const id of busy) expect(await actionOf(server, id)).not.toHaveProperty("unpolled");

    expect(await poll(server, "mail/send", { queues: ["slow"] })).toHaveLength(1);
    for (const id of ids) expect(await actionOf(server, id)).not.toHaveProperty("unpolled");
    // One that polls now and then is not reported again and again; a further one is.
    await begin(server, "other");
    await later(() => warned().length > 1);
    expect(warned()).toEqual(["slow/mail/send", "default/other"]);
  },
);

test.skipIf(redisMissing !== undefined)(
  "of several servers one reports it, and workers anywhere count",
  async () => {
    const redis = await startRedis();
    try {
      const address = `redis://127.0.0.1:${redis.port}`;
      const both = [await open({}, address), await open({}, address)];
      const [first, second] = both.map(({ server }) => server) as [TestServer, TestServer];
      const warned = () => both.flatMap((one) => one.warned());
      const ids = [await begin(first, "absent"), await begin(first, "absent")];
      const [id] = ids;
      for (let i = 0; i < 3; i++) await begin(first, "elsewhere");
      expect(await poll(second, "elsewhere")).toHaveLength(1);
      const seen = async (server: TestServer) => (await actionOf(server, id!)).unpolled === true;
      await until(async () => (await seen(first)) && (await seen(second)), 60_000);
      expect(warned()).toEqual(["default/absent"]);
      const [{ executionId: taken }] = await poll(second, "absent");
      const left = ids.find((one) => one !== taken)!;
      // Long before the first one looks at the queue again.
      await until(async () => (await actionOf(first, left)).unpolled === undefined);
      for (const server of [first, second])
        expect((await actionOf(server, taken)).status).toBe("RUNNING");
    } finally {
      for (const server of servers.splice(0)) await server.remove();
      await redis.stop();
    }
  },
  120_000,
);
