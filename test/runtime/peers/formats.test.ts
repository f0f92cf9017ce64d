/** Which format is written while servers of several versions come, go, freeze and come back. */
import { expect, test } from "bun:test";
import { limits } from "../../../src/base/limits.ts";
import { currentFormat, oldestFormat } from "../../../src/model/format.ts";
import { Formats } from "../../../src/runtime/peers/formats.ts";
import { ServerRegistry } from "../../../src/runtime/peers/server-registry.ts";
import { Standstill } from "../../../src/runtime/peers/standstill.ts";
import type { ServerView } from "../../../src/runtime/shared/orchestrator.ts";
import { MemoryStore } from "../../../src/store/memory/memory-store.ts";
import { type Store, StoreFault } from "../../../src/store/store.ts";
import { createLogger } from "../../../src/telemetry/log.ts";
import { HandClock } from "../../support/hand-clock.ts";

const formatDelayMs = 60_000;
const beatMs = limits.sharedServerBeatMs;

/** A store that servers share; one that is away refuses every call. */
class SharedStore extends MemoryStore {
  override readonly traits = { ...new MemoryStore({ partitions: 1 }).traits, shared: true };
  held = oldestFormat;
  isAway = false;

  format(): number {
    return this.held;
  }

  async raiseFormat(format: number): Promise<number> {
    this.held = Math.max(this.held, format);
    return this.held;
  }

  override beatServer(request: Parameters<Store["beatServer"]>[0]): Promise<void> {
    if (this.isAway) throw new StoreFault("not_applied", "away");
    return super.beatServer(request);
  }
}

const serverOf = (id: string): ServerView => ({
  id,
  name: id,
  grpcAddress: "g",
  httpAddress: "h",
  startedAt: 0,
  version: "0.2.0",
});

function newSubject() {
  const clock = new HandClock();
  const lines: string[] = [];
  const log = createLogger({ level: "info", clock, write: (line) => lines.push(line) });
  const store = new SharedStore({ partitions: 1 });
  const reasons: string[] = [];
  const join = async (id: string) => {
    const onOutdated = (reason: string) => reasons.push(reason);
    const formats = new Formats({ store, clock, log, formatDelayMs, onOutdated });
    const standstill = new Standstill({ clock, log });
    const registry = new ServerRegistry({
      store,
      clock,
      log,
      formats,
      standstill,
      onLive() {},
      onLost() {},
      news: () => ({}),
      onBeats() {},
    });
    await registry.join(serverOf(id));
    return { formats, leave: () => registry.leave() };
  };
  /** A server of the version that published no format, which beats until it is ended. */
  const joinOld = (id: string) => {
    const body = JSON.stringify(serverOf(id));
    let end = () => {};
    const beat = () => {
      void store.beatServer({ id, body, now: clock.now(), ttlMs: limits.sharedServerTtlMs });
      end = clock.after(beatMs, beat);
    };
    beat();
    return () => end();
  };
  return { clock, store, lines, reasons, join, joinOld };
}

test("a store of one server is written in the newest format", () => {
  const { clock, lines } = newSubject();
  const log = createLogger({ level: "info", clock, write: (line) => lines.push(line) });
  const store = new MemoryStore({ partitions: 1 });
  const formats = new Formats({ store, clock, log, formatDelayMs, onOutdated() {} });
  expect(formats.written()).toBe(currentFormat);
  expect(formats.complaint()).toBeUndefined();
});

test("the format rises only once the last older server has been gone for long enough", async () => {
  const { clock, store, lines, join, joinOld } = newSubject();
  const endOld = joinOld("old");
  const { formats } = await join("new");
  await clock.pass(3 * formatDelayMs);
  expect(formats.written()).toBe(oldestFormat);
  endOld();
  await clock.pass(limits.sharedServerTtlMs + formatDelayMs - 2 * beatMs);
  expect([formats.written(), store.held]).toEqual([oldestFormat, oldestFormat]);
  await clock.pass(3 * beatMs);
  expect([formats.written(), store.held]).toEqual([currentFormat, currentFormat]);
  expect(lines.filter((line) => line.includes("newer format of the store"))).toHaveLength(1);
});

test("an older server that comes back in between begins the wait anew", async () => {
  const { clock, joinOld, join } = newSubject();
  const { formats } = await join("new");
  await clock.pass(formatDelayMs - beatMs);
  const endOld = joinOld("old");
  await clock.pass(beatMs);
  endOld();
  await clock.pass(formatDelayMs);
  expect(formats.written()).toBe(oldestFormat);
  await clock.pass(limits.sharedServerTtlMs + 2 * beatMs);
  expect(formats.written()).toBe(currentFormat);
});

test("what was not watched does not count: a store that was away, a server that was frozen", async () => {
  const { clock, store, join } = newSubject();
  const { formats } = await join("new");
  await clock.pass(formatDelayMs - beatMs);
  store.isAway = true;
  await clock.pass(2 * limits.sharedServerTtlMs);
  store.isAway = false;
  await clock.pass(formatDelayMs - beatMs);
  expect(formats.written()).toBe(oldestFormat);
  clock.shiftMs += 2 * formatDelayMs;
  await clock.pass(formatDelayMs - beatMs);
  expect(formats.written()).toBe(oldestFormat);
  await clock.pass(3 * beatMs);
  expect(formats.written()).toBe(currentFormat);
});

test("what one server has raised, all write", async () => {
  const { clock, store, join } = newSubject();
  const first = await join("first");
  await clock.pass(formatDelayMs / 2);
  const second = await join("second");
  store.held = currentFormat;
  await clock.pass(beatMs);
  expect([first.formats.written(), second.formats.written()]).toEqual(Array(2).fill(currentFormat));
});

test("an older server that comes back too late is named once", async () => {
  const { clock, store, lines, join, joinOld } = newSubject();
  store.held = currentFormat;
  await join("new");
  const endOld = joinOld("frozen");
  await clock.pass(10 * beatMs);
  endOld();
  const reports = lines.filter((line) =>
    line.includes("does not read the format that the others write"),
  );
  expect(reports).toHaveLength(1);
  expect(JSON.parse(reports[0] as string)).toMatchObject({ server: "frozen", reads: oldestFormat });
  expect(store.held).toBe(currentFormat);
});

test("a server that comes back to a format that it does not read ends itself", async () => {
  const { clock, store, reasons, join } = newSubject();
  const { formats } = await join("frozen");
  store.held = currentFormat + 1;
  await clock.pass(beatMs);
  const reason =
    `The store holds format ${currentFormat + 1}, and this server reads up to ` +
    `${currentFormat}: update it.`;
  expect(reasons[0]).toBe(reason);
  expect(formats.complaint()).toBe(reason);
  // What it still writes until it has ended is at least what it knows.
  expect(formats.written()).toBe(currentFormat);
});
