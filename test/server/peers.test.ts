/** Servers of a store without wake-ups wake each other, by signed messages at their HTTP ports. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { peersPath, signatureHeader } from "../../src/api/peers.ts";
import { systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import type { Store } from "../../src/store/store.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { freePort } from "../support/ports.ts";
import { complete, done, poll, single, untilPolled } from "./calls.ts";

const partitions = 4;

/** As each of several servers sees it. */
function shared(inner: Store): Store {
  return new Proxy(inner, {
    get(target, name) {
      if (name === "traits") return { ...target.traits, shared: true };
      const value: unknown = Reflect.get(target, name, target);
      if (name === "close") return async () => {};
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

interface Line {
  readonly level: string;
  readonly message: string;
  /** Of a peer. */
  readonly address?: string;
}

function logTo(lines: Line[]) {
  const write = (line: string) => void lines.push(JSON.parse(line));
  return createLogger({ level: "info", clock: systemClock, write });
}

describe("servers of a store without wake-ups", () => {
  const inner = new MemoryStore({ partitions });
  const lines: Line[] = [];
  let first: TestServer;
  let second: TestServer;

  const start = (flags: readonly string[] = []) =>
    startTestServer({
      store: "memory:",
      flags,
      parts: { store: shared(inner), log: logTo(lines) },
    });

  /** Until each has seen the other in the registry, which is read every few seconds. */
  async function untilKnown(...servers: TestServer[]): Promise<void> {
    for (const server of servers) {
      for (let known = 0; known < servers.length; await Bun.sleep(20)) {
        known = (await call(server, "GET", "/v1/servers")).body.items.length;
      }
    }
  }

  beforeAll(async () => {
    first = await start();
    second = await start();
    await untilKnown(first, second);
    await saveWorkflow(first, single("woken"));
  });
  afterAll(async () => {
    await Promise.all([first.remove(), second.remove()]);
  });

  test("give each other's tasks to polls that wait", async () => {
    await untilHeard(first, second);
    await untilHeard(second, first);
    const waits: number[] = [];
    for (let round = 0; round < 20; round++) {
      const [here, there] = round % 2 === 0 ? [first, second] : [second, first];
      const polling = poll(there, { actions: ["woken"], workerId: `w${round}`, waitSeconds: 30 });
      await untilPolled(there, "woken");
      const startedAt = performance.now();
      const id = await startExecution(here, "woken");
      const [task] = await polling;
      waits.push(performance.now() - startedAt);
      expect(task!.executionId).toBe(id);
      expect(await complete(there, done(task!))).toEqual(["ACCEPTED"]);
      await untilEnded(there, id);
    }
    waits.sort((a, b) => a - b);
    // Without messages it is some seconds: half the time between two sweeps.
    expect(waits[10]).toBeLessThan(3_000);
    if (process.env.FIGURES) console.log(`handed over in ${waits[10]!.toFixed(1)} ms (median)`);
  });

  /** Starts executions at one until a poll at the other is given one; then works off the others. */
  async function untilHeard(here: TestServer, there: TestServer): Promise<void> {
    const request = { actions: ["woken"], workerId: "known", maxTasks: 100 };
    let tasks = await poll(there, { ...request, waitSeconds: 0 });
    while (tasks.length === 0) {
      await startExecution(here, "woken");
      tasks = await poll(there, { ...request, waitSeconds: 1 });
    }
    for (; tasks.length > 0; tasks = await poll(there, { ...request, waitSeconds: 0 })) {
      await complete(there, ...tasks.map((task) => done(task)));
    }
  }

  test("refuse what no server of the store has signed, and log it once", async () => {
    const send = (body: string, signature: string, method = "POST") =>
      fetch(`${first.url}${peersPath}`, {
        method,
        ...(method === "POST" && { body }),
        headers: { [signatureHeader]: signature },
      });
    const secret = (await inner.getDocument({ kind: "secret", id: "peers" }))!.body;
    const sign = (body: string) => createHmac("sha256", secret).update(body).digest("base64url");
    const message = (at: number) => JSON.stringify({ at, wakes: [[0, "q/a"]], notes: [] });
    const good = message(Date.now());
    for (const signature of ["", "wrong", sign(`${good} `)]) {
      expect((await send(good, signature)).status).toBe(401);
    }
    expect((await send(good, sign(good))).status).toBe(204);
    expect((await send(good, sign(good))).status).toBe(204);
    for (const shiftMs of [-2, 2]) {
      const old = message(Date.now() + shiftMs * limits.peerWindowMs);
      expect((await send(old, sign(old))).status).toBe(401);
    }
    const large = "x".repeat(limits.peerMessageBytesMax + 1);
    expect((await send(large, sign(large))).status).toBe(413);
    expect((await send("", "", "GET")).status).toBe(405);
    const logged = lines.filter(({ message }) => message.includes("refused"));
    expect(logged.map(({ message }) => message)).toEqual([
      expect.stringContaining("wrong signature"),
      expect.stringContaining("clock"),
    ]);
  });

  test("log once that a peer cannot be reached, and go on", async () => {
    const gone = await freePort();
    const third = await start(["--advertise-http", `127.0.0.1:${gone}`]);
    const isOfThird = ({ address }: Line) => address === `127.0.0.1:${gone}`;
    const lost = () =>
      lines.filter((line) => line.message.includes("could not be reached") && isOfThird(line));
    try {
      while (lost().length === 0) {
        await startExecution(first, "woken");
        await Bun.sleep(50);
      }
      for (let i = 0; i < 5; i++) {
        await startExecution(first, "woken");
        await Bun.sleep(10);
      }
      expect(lost()).toHaveLength(1);
    } finally {
      await third.remove();
    }
  });
});
