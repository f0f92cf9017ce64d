/**
 * A released version and this one share a Redis, as in a rolling upgrade: under load, with servers
 * of both killed, each goes on with what the other began, and either can leave. Once the older one
 * has gone the format rises, and the older one refuses to start instead of misreading what is
 * there.
 */
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { currentFormat } from "../../src/model/format.ts";
import { Worker } from "../../src/worker/index.ts";
import { call } from "../support/orchy.ts";
import { startProcess } from "../support/process.ts";
import { redisMissing, startRedis, until } from "../support/redis.ts";
import { deadlineMs, Pair, Place, step } from "./support/pair.ts";
import { checkOut, type Release, releaseMissing, releases } from "./support/versions.ts";

/** With which sentence the release's server refuses to start on this store. */
function refusal(checkout: string, store: string): string {
  const flags = ["--http-port", "0", "--grpc-port", "0", "--store", store];
  const main = join(checkout, "src/main.ts");
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, main, ...flags]);
  expect(exitCode).toBe(1);
  return stderr.toString();
}

async function refuseNewerFile(release: Release): Promise<void> {
  const checkout = checkOut(release);
  const store = `sqlite:${checkout}/orchy.db`;
  const server = await startProcess(store);
  server.child.kill("SIGTERM");
  await server.child.exited;
  expect(refusal(checkout, store)).toContain("was written by a newer Orchy");
  rmSync(checkout, { recursive: true, force: true });
}

/** What the older one reads of it is rounded, as it always was: the newer one says so. */
async function saveExact(older: Place, newer: Place): Promise<void> {
  const number = "356686000032329832";
  const action = `{"id":"t","type":"system","name":"transform","parameters":{"n":${number}}}`;
  const body = `{"name":"exact","rootAction":"t","actions":[${action}]}`;
  const answer = await call(newer, "POST", "/v1/workflows", body);
  expect(answer.body.warnings).toMatchObject([{ pointer: "/actions/0/parameters/n" }]);
  const read = async ({ url }: Place) => (await fetch(`${url}/v1/workflows/exact`)).text();
  expect(await read(newer)).toContain(`{"n":${number}}`);
  expect(await read(older)).toContain(`{"n":${Number(number)}}`);
}

/** Status of saving what the older server could not run. */
async function saveFilter({ url }: Place): Promise<number> {
  const parameters = { dear: "$.input.lines[?(@.price > 10)]" };
  const action = { id: "t", type: "system", name: "transform", parameters };
  const body = JSON.stringify({ name: "filtered", rootAction: "t", actions: [action] });
  return (await fetch(`${url}/v1/workflows`, { method: "POST", body })).status;
}

/** A start is repeated at either server, whichever took it first: the older one compares texts. */
async function repeatStarts(older: Place, newer: Place): Promise<void> {
  const text = '{"workflow":"exact","input":{"b":[1.0],"a":2}}';
  const respelt = '{"input":{"a":2,"b":[1]}, "workflow":"exact"}';
  const start = async (place: Place, key: string, body: string) =>
    (await call(place, "POST", "/v1/executions", body, { "idempotency-key": key })).body.created;
  for (const [key, first, other] of [
    ["newer", newer, older],
    ["older", older, newer],
  ] as const) {
    expect([await start(first, key, text), await start(other, key, text)]).toEqual([true, false]);
    expect(await start(newer, key, respelt)).toBe(false);
  }
}

async function upgrade(release: Release): Promise<void> {
  const checkout = checkOut(release);
  const redis = await startRedis();
  const store = `redis://127.0.0.1:${redis.port}`;
  const older = new Place(store, checkout);
  const newer = new Place(store);
  const pair = new Pair([older, newer], redis.client);
  const workers: Worker[] = [];

  try {
    await older.start();
    const after = { name: "mixed-after", rootAction: "z", actions: [step("z")] };
    expect((await pair.ask(0, "POST", "/v1/workflows", after)).status).toBe(201);
    await pair.save(0, "first");
    await newer.start();
    await saveExact(older, newer);
    expect(await saveFilter(newer)).toBe(422);
    await repeatStarts(older, newer);
    for (const place of [older, newer]) {
      const quiet = { debug() {}, info() {}, warn() {}, error() {} };
      const worker = new Worker({ server: place.url, logger: quiet });
      worker.action("mixed-step", { timeoutSeconds: 3, concurrency: 50 }, async (input) => input);
      workers.push(worker);
      await worker.start();
    }

    await pair.load({ branch: "script", marks: ["first", "second"] }, () => pair.save(1, "second"));
    await pair.load({ branch: "task", marks: ["second", "third"] }, async () => {
      await newer.end("SIGKILL");
      await pair.save(0, "third");
      await newer.start();
    });
    await pair.load({ branch: "task", marks: ["third", "fourth"] }, async () => {
      await older.end("SIGKILL");
      await pair.save(1, "fourth");
      await older.start();
    });

    const leftByNewer = pair.started.size;
    await pair.begin(1);
    await newer.end("SIGTERM");
    await pair.endAlone(0, leftByNewer);
    expect(await pair.format()).toBe(release.format);

    await newer.start(["--format-delay", "0"]);
    const leftByOlder = pair.started.size;
    await pair.begin(0);
    expect(await pair.format()).toBe(release.format);
    await older.end("SIGTERM");
    await pair.endAlone(1, leftByOlder);

    await until(async () => (await pair.format()) === currentFormat, deadlineMs);
    await until(async () => (await saveFilter(newer)) === 201, deadlineMs);
    await pair.load({ branch: "script", marks: ["fourth"] });
    expect(refusal(checkout, store)).toMatch(/written by another version of Orchy \(layout/);
    expect([...older.errors(), ...newer.errors()]).toEqual([]);
    const metrics = await fetch(`${newer.url}/metrics`).then((answer) => answer.text());
    expect(metrics).toContain("\norchy_repairs_total 0\n");
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
    for (const place of [older, newer]) await place.end("SIGKILL");
    await redis.stop();
    rmSync(checkout, { recursive: true, force: true });
  }
}

for (const release of releases) {
  const name = `commit ${release.commit.slice(0, 7)}`;
  const unbuilt = releaseMissing(release);
  const add = (title: string, missing: string | undefined, run: () => Promise<void>) => {
    if (missing === undefined) test(title, run, 240_000);
    else test.skip(`${title} (${missing})`, () => {});
  };
  add(`${name} and this version share a Redis`, redisMissing ?? unbuilt, () => upgrade(release));
  add(`${name} refuses a file of this version`, unbuilt, () => refuseNewerFile(release));
}
