/** One run: everything is started, loaded, struck, healed, checked and stopped. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Redis } from "ioredis";
import { limits } from "../../src/base/limits.ts";
import { Chance } from "../support/chance.ts";
import { freePort } from "../support/ports.ts";

import { clocksFixed, makeShiftedClock } from "../support/shifted-clock.ts";
import { disksMissing, makeSmallDisk, type SmallDisk } from "../support/small-disk.ts";
import type { StoreBed } from "./bed.ts";
import { type BrokerBed, type Queue, startBroker } from "./broker.ts";
import { startCassandraBed } from "./cassandra.ts";
import { Client } from "./client.ts";
import { ClusterFaults } from "./cluster-faults.ts";
import { DiskFaults } from "./disk-faults.ts";
import { startDynamoBed } from "./dynamodb.ts";
import { type Fault, ProcessFaults } from "./faults.ts";
import { Hands } from "./hands.ts";
import { Ledger } from "./ledger.ts";
import { checkLeftovers } from "./leftovers.ts";
import { Load } from "./load.ts";
import { Nemesis, Outages } from "./nemesis.ts";
import { Oracle } from "./oracle.ts";
import { startPostgresBed } from "./postgres.ts";
import { makeOrchy, type Orchy, type Program } from "./processes.ts";
import { type RedisBed, startChaosCluster, startSingle } from "./redis.ts";
import { RedisFaults } from "./redis-faults.ts";
import { countRuns, type Report } from "./report.ts";
import { RudeWorker } from "./rude.ts";
import { Source } from "./source.ts";
import { kinds, startedByOthers } from "./workflows.ts";

export const targets = ["redis", "cluster", "postgres", "dynamodb", "cassandra", "sqlite"] as const;
export type Target = (typeof targets)[number];

export interface ChaosOptions {
  readonly target: Target;
  readonly seconds: number;
  readonly seed: number;
  readonly startsPerSecond: number;
  readonly workers: number;
  /** What carries tickets; absent: the store's own queue. */
  readonly queue?: Queue | undefined;
  /** Logs and data stay where they are. */
  readonly keep?: boolean;
  /** Parts of names, separated by commas: only these faults strike. Absent: all of them. */
  readonly only?: string;
}

/** Room for all that a run of a few minutes stores. */
const diskMebibytes = 512;

const place = { namespace: "orchy", partitions: limits.partitionsDefault };

/** Reads logs from memory where that can be: they are looked at only if something went wrong. */
const folders = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

const probe = {
  name: "chaos-probe",
  rootAction: "s",
  retentionSeconds: 3_600,
  actions: [{ id: "s", type: "user", name: "chaos-step", parameters: { n: "$.input.n" } }],
};

export async function runChaos(options: ChaosOptions): Promise<Report> {
  const folder = mkdtempSync(join(folders, "orchy-chaos-"));
  const bed = await startBed(options.target, folder);
  const broker = options.queue && (await startBroker(options.queue, bed?.stores.length ?? 1));
  const disk = options.target === "sqlite" ? startDisk() : undefined;
  const stores = bed?.stores ?? [`sqlite:${disk?.path ?? folder}/orchy.db`];
  const ports = stores.map(() => freePort());
  const ledger = new Ledger();
  const violate = (sentence: string) => ledger.violate(sentence);
  // SQLite has no clock that a server could follow.
  const hasClocks = bed !== undefined && clocksFixed === undefined;
  const clocks = hasClocks ? stores.map(() => makeShiftedClock()) : [];
  const { workers } = options;
  const environments = stores.map((_, i) => ({
    ...broker?.environments[i],
    ...bed?.environments?.[i],
  }));
  const flags = broker?.flags ?? [];
  const orchy = makeOrchy({ folder, stores, ports, workers, flags, environments, clocks, violate });
  try {
    const report = await strikeAndCheck(options, { orchy, bed, broker, disk, folder, ledger });
    // Logs and data of a run that went wrong are kept for a look.
    if (report.violations.length === 0 && !options.keep)
      rmSync(folder, { recursive: true, force: true });
    else console.error(`Logs are in ${folder}.`);
    return report;
  } finally {
    await Promise.all([...orchy.servers, ...orchy.workers].map((program) => program.close()));
    for (const clock of clocks) clock.remove();
    await bed?.stop();
    await broker?.stop();
    disk?.remove();
  }
}

function startDisk(): SmallDisk | undefined {
  if (disksMissing === undefined) return makeSmallDisk(diskMebibytes);
  console.log(`SKIPPED faults of the disk: ${disksMissing}`);
  return undefined;
}

async function startBed(target: Target, folder: string): Promise<StoreBed | undefined> {
  const servers = 3;
  if (target === "redis" || target === "cluster")
    return await startRedisBed(target, folder, servers);
  if (target === "postgres") return await startPostgresBed(servers, place.namespace);
  if (target === "dynamodb") return await startDynamoBed(servers);
  if (target === "cassandra") return await startCassandraBed(servers);
  return undefined;
}

async function startRedisBed(
  target: "redis" | "cluster",
  folder: string,
  servers: number,
): Promise<StoreBed> {
  const start = target === "redis" ? startSingle : startChaosCluster;
  const bed = await start(folder, servers);
  return {
    ...bed,
    faults(chance) {
      const redis = new RedisFaults(bed, chance);
      if (target === "redis") return redis.single;
      return [...redis.all, ...new ClusterFaults(bed, chance, place).all];
    },
    checkLeftovers: (ledger) => checkLeftovers(() => mastersOf(bed), place, ledger),
  };
}

interface Scene {
  readonly orchy: Orchy;
  readonly bed: StoreBed | undefined;
  readonly broker: BrokerBed | undefined;
  /** Below an embedded store. */
  readonly disk: SmallDisk | undefined;
  readonly folder: string;
  readonly ledger: Ledger;
}

async function strikeAndCheck(options: ChaosOptions, scene: Scene): Promise<Report> {
  const { target, seconds, seed, startsPerSecond } = options;
  const { orchy, bed, broker, folder, ledger } = scene;
  const chance = new Chance(seed);
  const own = () => new Chance(chance.below(2 ** 31));
  const client = new Client(orchy.urls, own(), (sentence) => ledger.violate(sentence));
  const hands = new Hands({ client, ledger, chance: own(), folder });
  const load = new Load({ client, ledger, chance: own(), startsPerSecond, hands }, `chaos-${seed}`);
  const rude = new RudeWorker({ client, ledger, chance: own() });
  const places = broker?.source;
  const source = places && new Source({ client, ledger, chance: own(), places });
  const wanted = (options.only ?? "").split(",");
  const faults = lanesOf({ options, scene, client, source, own }).map((all) =>
    all.filter(({ name }) => wanted.some((part) => name.includes(part))),
  );
  ledger.forgives = faults.flat().some(({ isLossy }) => isLossy === true);
  const outages = new Outages();
  const nemeses = faults.map(
    (all) => new Nemesis({ faults: all, client, ledger, chance: own(), outages }),
  );

  await Promise.all([...orchy.servers, ...orchy.workers].map((program) => program.start()));
  await prepare(client, rude);
  await source?.prepare();
  const stop = AbortSignal.timeout(seconds * 1_000);
  const rudeStop = new AbortController();
  const rudeRuns = rude.run(rudeStop.signal);
  const loadRuns = Promise.all([load.run(stop), source?.run(stop)]);
  await Promise.all(nemeses.map((nemesis) => nemesis.run(stop)));
  await loadRuns;
  const oracle = new Oracle(client, ledger, source);
  await oracle.check();
  rudeStop.abort();
  await rudeRuns;
  await bed?.checkLeftovers(ledger);
  return {
    target,
    seed,
    seconds,
    recoveries: new Map(nemeses.flatMap(({ recoveries }) => [...recoveries])),
    executions: ledger.stories.length,
    checked: oracle.checked,
    statuses: oracle.counts,
    excused: ledger.excused,
    rudeAnswers: ledger.rudeAnswers,
    repeatedCalls: client.repeats,
    messages: source?.counts ?? "none",
    answersCut: (bed?.proxies ?? []).reduce((sum, { cuts }) => sum + cuts, 0),
    repairs: await repairs(orchy, ledger),
    handlerRuns: countRuns(folder),
    violations: ledger.violations,
  };
}

interface Lanes {
  readonly options: ChaosOptions;
  readonly scene: Scene;
  readonly client: Client;
  readonly source: Source | undefined;
  readonly own: () => Chance;
}

/** Faults of one lane come one after the other. */
function lanesOf({ options, scene, client, source, own }: Lanes): readonly (readonly Fault[])[] {
  const { orchy, bed, broker, disk, ledger } = scene;
  const processes = new ProcessFaults(orchy, own(), ledger);
  const processFaults = [...processes.all];
  const hiddenMs = broker?.hiddenMs ?? 0;
  // In a short run there would be little else.
  if (source !== undefined && hiddenMs > 0 && options.seconds * 1_000 > 2 * hiddenMs) {
    processFaults.push(processes.outlasting(hiddenMs, () => source.holder()));
  }
  const [server] = orchy.servers as [Program, ...Program[]];
  const ofBroker = broker === undefined ? [] : [[...broker.faults(own()), ...source!.faults]];
  if (disk === undefined) return [processFaults, bed?.faults(own()) ?? [], ...ofBroker];
  // In the lane of processes, as those of the disk end the server, too.
  const diskFaults = new DiskFaults({ disk, server, client, ledger }).all;
  return [[...processFaults, ...diskFaults], ...ofBroker];
}

async function prepare(client: Client, rude: RudeWorker): Promise<void> {
  await rude.register();
  for (const body of [...startedByOthers, probe, ...kinds.map(({ definition }) => definition)]) {
    const answer = await client.surely({ method: "POST", path: "/v1/workflows", body });
    if (answer === undefined || answer.status >= 300) throw new Error(JSON.stringify(answer));
  }
}

async function mastersOf(bed: RedisBed): Promise<readonly Redis[]> {
  const roles = await Promise.all(bed.nodes.map(({ client }) => client.role()));
  return bed.nodes.filter((_, i) => roles[i]?.[0] === "master").map(({ client }) => client);
}

/** Executions that the sweepers of the last lives of the servers had to repair: it must be 0. */
async function repairs(orchy: Orchy, ledger: Ledger): Promise<number> {
  let sum = 0;
  for (const url of orchy.urls) {
    const text = await (await fetch(`${url}/metrics`)).text();
    sum += Number(/^orchy_repairs_total (\d+)/m.exec(text)?.[1] ?? 0);
  }
  if (sum > 0) ledger.lost("repair", `the sweepers have repaired ${sum} executions`);
  return sum;
}
