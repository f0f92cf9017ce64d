/** Clients of other authors, against a real server process. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ended, saveSingle, start, until } from "./support/desk.ts";
import { findKinds, type Kind } from "./support/kinds.ts";
import { startRelay } from "./support/relay.ts";
import {
  basicScenario,
  describeKind,
  percentile,
  plainStatuses,
  type Session,
  skipped,
  testMs,
  untilParked,
} from "./support/scenario.ts";
import { ServerProcess } from "./support/server-process.ts";

const parkedPolls = 200;
/** Completions behind a parked poll would take as long as it waits, which is twice this. */
const unhinderedMs = 30_000;
/** Longer than the interval of pings, which is 10 s at least in most libraries. */
const silentSeconds = 12;

const kinds = await findKinds();
const pinging = kinds.filter(({ skip, cannot }) => skip === undefined && !cannot.pings);
let server: ServerProcess;
/** One that is never killed. */
let quietServer: ServerProcess;
/** They wait for most of their time, so all of them do it while other tests run. */
let silences: Promise<Awaited<ReturnType<typeof beSilent>>[]>;

const portOf = (kind: Kind, { httpPort, grpcPort }: ServerProcess) =>
  kind.port === "http" ? httpPort : grpcPort;

describe("workers in other languages", () => {
  beforeAll(async () => {
    server = await ServerProcess.start();
    quietServer = await ServerProcess.start();
    silences = Promise.all(pinging.map(beSilent));
  }, testMs);
  afterAll(async () => {
    await server.remove();
    await quietServer.remove();
  }, testMs);

  for (const kind of kinds) {
    describeKind(kind, () => {
      const session = basicScenario(kind, () => ({
        server,
        address: `127.0.0.1:${portOf(kind, server)}`,
      }));
      test(
        "goes on after the server was killed and started again",
        () => outlives(session()),
        testMs,
      );

      const reason = kind.cannot["one connection"];
      const title = `${parkedPolls} parked polls hinder no completions`;
      if (reason !== undefined) skipped(`${kind.name}: ${title}`, reason);
      else test(title, () => parks(session()), testMs);
    });
  }

  for (const { name, skip, cannot } of kinds) {
    if (skip === undefined && cannot.pings) skipped(`${name}: pings`, cannot.pings);
  }
  test.if(pinging.length > 0)(
    "pings are answered, and keep a silent connection",
    async () => {
      for (const { name, error, ms, pings } of await silences) {
        expect(error, name).toBeUndefined();
        expect(ms, name).toBeGreaterThan(silentSeconds * 1_000 - 500);
        expect(pings, name).toBeGreaterThan(0);
      }
    },
    testMs,
  );
});

/** A call that says nothing for long, and how many pings its client sent meanwhile. */
async function beSilent(kind: Kind) {
  const relay = await startRelay(portOf(kind, quietServer));
  const client = await kind.open(`127.0.0.1:${relay.port}`);
  const poll = { actions: ["silence"], waitSeconds: silentSeconds };
  const { error, ms } = await client.call("Poll", poll);
  const { pings } = relay;
  await client.close();
  await relay.stop();
  return { name: kind.name, error, ms, pings };
}

/** A task that was taken before is completed after; the client connects by itself. */
async function outlives(session: Session): Promise<void> {
  const name = session.name("outlives");
  await saveSingle(server, name);
  const ids = [await start(server, name, { n: 1 }), await start(server, name, { n: 2 })];
  const [task] = await session.poll(name);
  await server.kill();
  expect((await session.client.call("Poll", { actions: [name] })).error).toBeDefined();
  await server.start();
  // Libraries wait a while before they connect again.
  const results = [{ token: task.token, output: 1 }];
  const { response } = await until(
    () => session.client.call("Poll", { actions: [name], waitSeconds: 20, results }),
    ({ error }) => error === undefined,
  );
  expect(plainStatuses(response)).toEqual(["ACCEPTED"]);
  const [next] = response.tasks;
  await session.statuses([{ token: next.token, output: 2 }]);
  const last = await Promise.all(ids.map((id) => ended(server, id)));
  expect(last.map(({ status }) => status)).toEqual(["COMPLETED", "COMPLETED"]);
}

async function parks(session: Session): Promise<void> {
  const relay = await startRelay(portOf(session.kind, server));
  const client = await session.kind.open(`127.0.0.1:${relay.port}`);
  const [parked, busy] = [session.name("parking"), session.name("busy")];
  await saveSingle(server, parked);
  await saveSingle(server, busy);
  // Libraries assume a limit on streams until the server has told its own.
  await client.call("Poll", { actions: [parked] });
  const workers = Array.from({ length: parkedPolls }, (_, n) => `${parked}-${n}`);
  const polls = workers.map((workerId) =>
    client.call("Poll", { actions: [parked], waitSeconds: 60, workerId }),
  );
  await untilParked(server, workers);
  expect(relay.connections).toBe(1);

  await Promise.all(workers.map(() => start(server, busy)));
  const tokens: string[] = [];
  while (tokens.length < parkedPolls) {
    const request = { actions: [busy], maxTasks: 100, waitSeconds: 20 };
    const { response } = await client.call("Poll", request);
    tokens.push(...(response.tasks ?? []).map(({ token }: { token: string }) => token));
  }
  const completions = [];
  for (const token of tokens) {
    completions.push(await client.call("Complete", { results: [{ token, output: 1 }] }));
  }
  expect(completions.filter(({ error }) => error !== undefined)).toEqual([]);
  const p99 = percentile(completions, 0.99);
  console.log(
    `interop: ${session.kind.name}: with ${parkedPolls} parked polls on a connection, ` +
      `a completion takes ${percentile(completions, 0.5).toFixed(1)} ms (p50), ${p99.toFixed(1)} ms (p99)`,
  );
  expect(p99).toBeLessThan(unhinderedMs);

  // Every parked poll is still there: each gets one task.
  await Promise.all(workers.map(() => start(server, parked)));
  const answers = await Promise.all(polls);
  expect(answers.map(({ response }) => response?.tasks?.length)).toEqual(workers.map(() => 1));
  expect(relay.connections).toBe(1);
  await client.close();
  await relay.stop();
}
