/** More scripts than a sandbox has room for: they wait in the store, and all of them end. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Ids } from "../../../src/base/clock.ts";
import { limits } from "../../../src/base/limits.ts";
import type { ScriptOutcome } from "../../../src/model/event.ts";
import { createRuntime, type Runtime } from "../../../src/runtime/runtime.ts";
import type { Sandbox, ScriptInput } from "../../../src/sandbox/sandbox.ts";
import { MemoryStore } from "../../../src/store/memory/memory-store.ts";
import { createLogger } from "../../../src/telemetry/log.ts";
import { Metrics } from "../../../src/telemetry/metrics.ts";
import { HandClock } from "../../support/hand-clock.ts";

const done: ScriptOutcome = { ok: true, output: "{}" };

/** Runs nothing: tests say when a script has ended. */
class HeldSandbox implements Sandbox {
  readonly processes = 1;
  /** Ids of executions, in the order in which they came. */
  readonly evaluated: string[] = [];
  readonly aborted: string[] = [];
  readonly #open: (() => void)[] = [];
  readonly #roomMax: number;
  #onRoom = () => {};

  constructor(roomMax: number) {
    this.#roomMax = roomMax;
  }

  get queued(): number {
    return Math.max(0, this.#open.length - this.processes);
  }

  hasQueued(): boolean {
    return this.queued > 0;
  }

  room(): number {
    return Math.max(0, this.#roomMax - this.#open.length);
  }

  onRoom(listener: () => void): void {
    this.#onRoom = listener;
  }

  evaluate({ execution }: ScriptInput, abort?: AbortSignal): Promise<ScriptOutcome> {
    const { id } = JSON.parse(execution);
    this.evaluated.push(id);
    abort?.addEventListener("abort", () => this.aborted.push(id));
    return new Promise((resolve) => this.#open.push(() => resolve(done)));
  }

  /** The oldest script ends; false without one. */
  finish(): boolean {
    const oldest = this.#open.shift();
    oldest?.();
    this.#onRoom();
    return oldest !== undefined;
  }

  check = async () => undefined;
  stop = async () => {};
}

interface Server {
  readonly runtime: Runtime;
  readonly sandbox: HeldSandbox;
  readonly clock: HandClock;
}

/** Always the same, so that always the same partitions prefer the same server. */
function countedIds(): Ids {
  let count = 0;
  const next = () => (++count).toString(16).padStart(12, "0");
  return { uuid: () => `00000000-0000-7000-8000-${next()}`, nonce: () => `0000${next()}` };
}

let counted = countedIds();
beforeEach(() => {
  counted = countedIds();
});

const opened: Server[] = [];
afterEach(async () => {
  for (const { runtime, sandbox, clock } of opened.splice(0)) {
    const closing = runtime.close();
    while (sandbox.finish()) await settled();
    await clock.pass(60_000);
    await closing;
  }
});

async function open(store: MemoryStore, room: number, clock = new HandClock()): Promise<Server> {
  const sandbox = new HeldSandbox(room);
  const log = createLogger({ level: "silent", clock, write() {} });
  const parts = { store, sandbox, clock, ids: counted, log, metrics: new Metrics() };
  const runtime = createRuntime({ ...parts, namespace: "test" });
  const server = { runtime, sandbox, clock };
  opened.push(server);
  const id = counted.uuid();
  const about = { grpcAddress: id, httpAddress: id, startedAt: clock.now(), version: "0" };
  await runtime.open({ id, name: id, ...about });
  return server;
}

/** What was begun has gone as far as it can without time passing. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise<void>((next) => setImmediate(next));
}

async function saveScript({ runtime }: Server, name: string): Promise<void> {
  const action = { id: "j", type: "system", name: "javascript", expression: "1" };
  await runtime.saveWorkflow({ name, rootAction: "j", actions: [action] }, { lenient: false });
}

/** Starts `count` scripts; their folding takes a moment of the server's time. */
async function startMany(server: Server, workflow: string, count: number): Promise<string[]> {
  const starts = Array.from({ length: count }, () =>
    server.runtime.start({ workflow, input: "{}" }),
  );
  await settled();
  await server.clock.pass(100);
  return (await Promise.all(starts)).map(({ id }) => id);
}

async function statuses({ runtime }: Server, ids: readonly string[]): Promise<string[]> {
  const all = await Promise.all(ids.map((id) => runtime.getExecution(id)));
  return [...new Set(all.map(({ status }) => status))];
}

async function kinds({ runtime }: Server, id: string): Promise<string[]> {
  const { items } = await runtime.history(id, { limit: 100 });
  return items.map(({ kind }) => kind);
}

test("a script that is under way here is not asked for again, however long it takes", async () => {
  const server = await open(new MemoryStore({ partitions: 1 }), 10);
  await saveScript(server, "slow");
  const [id] = (await startMany(server, "slow", 1)) as [string];
  await server.clock.pass(200_000);
  expect(server.sandbox.evaluated).toEqual([id]);
  expect(await kinds(server, id)).not.toContain("script.restarted");
  server.sandbox.finish();
  await settled();
  expect(await statuses(server, [id])).toEqual(["COMPLETED"]);
});

test("what finds no room waits, is evaluated once, first come first served", async () => {
  const server = await open(new MemoryStore({ partitions: 4 }), 2);
  await saveScript(server, "slow");
  const ids = await startMany(server, "slow", 40);
  expect(server.sandbox.evaluated).toHaveLength(2);
  await server.clock.pass(300_000);
  expect(server.sandbox.evaluated).toHaveLength(2);
  while (server.sandbox.finish()) {
    await settled();
    await server.clock.pass(100);
  }
  expect(server.sandbox.evaluated).toHaveLength(40);
  expect(new Set(server.sandbox.evaluated)).toEqual(new Set(ids));
  expect(await statuses(server, ids)).toEqual(["COMPLETED"]);
  for (const id of ids) expect(await kinds(server, id)).not.toContain("script.restarted");
});

test("workflows take turns, in the store as well", async () => {
  const server = await open(new MemoryStore({ partitions: 1 }), 1);
  for (const name of ["slow", "quick"]) await saveScript(server, name);
  await startMany(server, "slow", 30);
  const [quick] = (await startMany(server, "quick", 1)) as [string];
  for (let ended = 0; ended < 2; ended++) {
    server.sandbox.finish();
    await settled();
    await server.clock.pass(100);
  }
  expect(server.sandbox.evaluated.slice(0, 3)).toContain(quick);
});

test("another server takes its share when it has room", async () => {
  const store = new MemoryStore({ partitions: 16 });
  Object.assign(store, { traits: { ...store.traits, shared: true } });
  const clock = new HandClock();
  const busy = await open(store, 16, clock);
  const idle = await open(store, 16, clock);
  await saveScript(busy, "slow");
  const ids = await startMany(busy, "slow", 90);
  // Each server runs one script a second: slow ones, as many of them as the guard allows for.
  for (let second = 0; second < 120; second++) {
    busy.sandbox.finish();
    idle.sandbox.finish();
    await settled();
    await clock.pass(1_000);
  }
  expect(await statuses(busy, ids)).toEqual(["COMPLETED"]);
  expect(idle.sandbox.evaluated.length).toBeGreaterThan(5);
  const evaluated = [...busy.sandbox.evaluated, ...idle.sandbox.evaluated];
  expect(new Set(evaluated)).toEqual(new Set(ids));
  // Both may take the same one where its timer is due at the moment of its turn.
  expect(evaluated.length).toBeLessThan(ids.length + 10);
});

test("what a server leaves behind is taken by the others, and its late words are dropped", async () => {
  const store = new MemoryStore({ partitions: 4 });
  const frozen = await open(store, 3);
  await saveScript(frozen, "slow");
  const ids = await startMany(frozen, "slow", 12);
  const other = await open(store, 100);
  await other.clock.pass(200_000);
  expect(new Set(other.sandbox.evaluated)).toEqual(new Set(ids));
  expect(other.sandbox.evaluated).toHaveLength(12);
  while (other.sandbox.finish()) await settled();
  expect(await statuses(other, ids)).toEqual(["COMPLETED"]);
  frozen.clock.elapsedMs += 200_000;
  while (frozen.sandbox.finish()) await settled();
  expect(frozen.sandbox.evaluated).toHaveLength(3);
  expect(await statuses(frozen, ids)).toEqual(["COMPLETED"]);
});

test("a server that starts on a store of its own goes on at once with what waits there", async () => {
  const store = new MemoryStore({ partitions: 4 });
  const first = await open(store, 3);
  await saveScript(first, "slow");
  const ids = await startMany(first, "slow", 300);
  await first.clock.pass(5_000);
  const second = await open(store, 3);
  second.clock.elapsedMs = first.clock.elapsedMs;
  for (let ended = 0; ended < 297; ended++) {
    await settled();
    await second.clock.pass(30);
    second.sandbox.finish();
  }
  await settled();
  // No timer was due: of what waited nothing is left, and what the first one evaluates is its own.
  expect(second.clock.elapsedMs).toBeLessThan(limits.scriptWaitMsMin);
  const left = new Set(ids.filter((id) => !first.sandbox.evaluated.includes(id)));
  expect(new Set(second.sandbox.evaluated)).toEqual(left);
  expect(await statuses(second, [...left])).toEqual(["COMPLETED"]);
});

test("scripts of cancelled executions are not evaluated", async () => {
  const server = await open(new MemoryStore({ partitions: 1 }), 1);
  await saveScript(server, "slow");
  const ids = await startMany(server, "slow", 10);
  await Promise.all(ids.map((id) => server.runtime.operate({ id, operation: "cancel" })));
  while (server.sandbox.finish()) await settled();
  expect(await statuses(server, ids)).toEqual(["CANCELLED"]);
  expect(server.sandbox.evaluated).toHaveLength(1);
  expect(server.sandbox.aborted).toHaveLength(1);
});

test("a clock that is corrected while a script is awaited: the store hears of the time that was decided by", async () => {
  class SetClock extends HandClock {
    elapsed = () => this.elapsedMs;
  }
  const store = new MemoryStore({ partitions: 1 });
  const created: number[] = [];
  const { create } = store;
  store.create = (request) => {
    created.push(request.now - JSON.parse(request.state).startedAt);
    return create.call(store, request);
  };
  const clock = new SetClock();
  const server = await open(store, 10, clock);
  await saveScript(server, "slow");
  // Wrong by an hour, which a store that has the right time refuses: the caller repeats the start.
  clock.shiftMs = 3_600_000;
  const start = server.runtime.start({ workflow: "slow", input: "{}" });
  await settled();
  expect(created).toEqual([]);
  clock.shiftMs = 0;
  await clock.pass(100);
  await start;
  expect(created).toHaveLength(1);
  expect(created[0]).toBeWithin(0, 101);
});
