/**
 * Copies all that a store holds into an empty one, of any kind and number of partitions, while no server
 * runs on either. What is interrupted goes on from its progress; in the end both are compared.
 */
import type { Clock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { executionKey } from "../../model/ids.ts";
import type { ExecutionDump, Store } from "../store.ts";
import { digestsOf, pagesOf } from "./digest.ts";
import {
  type CopyProgress,
  endProgress,
  progressKind,
  readProgress,
  writeProgress,
} from "./progress.ts";

/** Partitions copied at once, and executions of each. */
const partitionsAtOnce = 4;
const executionsAtOnce = 16;
const documentsPerPage = 16;
/** Tombstones that end so soon are not compared: some stores drop them by themselves. */
const endingMs = 10 * 60_000;
const differencesShown = 10;

interface CopyOptions {
  readonly from: Store;
  readonly to: Store;
  /** For people, and to tell the source from others: without secrets. */
  readonly fromName: string;
  readonly clock: Clock;
  /** A line about how far it has come. */
  readonly onProgress: (line: string) => void;
}

interface Copied {
  readonly documents: number;
  /** With tombstones. */
  readonly executions: number;
}

/** Throws an Error of a sentence when it cannot be, or when what was copied differs. */
export async function copyStore(options: CopyOptions): Promise<Copied> {
  const { from, to } = options;
  for (const store of [from, to]) await refuseServers(store, options.clock);
  const progress = await begin(options);
  await to.raiseFormat?.(from.format?.() ?? 0);
  const documents = await copyDocuments(options);
  await copyExecutions(options, progress);
  for (const store of [from, to]) await refuseServers(store, options.clock);
  const executions = await compare(options);
  await endProgress(to);
  return { documents, executions };
}

/** An embedded store is open here, so no server has it. */
async function refuseServers(store: Store, clock: Clock): Promise<void> {
  if (!store.traits.shared) return;
  const [live] = await store.listServers({ now: nowOf(store, clock) });
  if (live === undefined) return;
  const { name = live.id } = JSON.parse(live.body) as { name?: string };
  throw new Error(
    `The server ${name} is live at the store ${store.traits.name}: stop all servers first. One that ` +
      "was killed counts as live for some seconds.",
  );
}

function nowOf(store: Store, clock: Clock): number {
  return clock.now() + (store.timeOffset?.() ?? 0);
}

class Progress {
  readonly #to: Store;
  readonly #from: string;
  readonly places: Record<string, string>;
  #version: number;
  #writing: Promise<void> = Promise.resolve();

  constructor(to: Store, { from, places }: CopyProgress, version: number) {
    this.#to = to;
    this.#from = from;
    this.places = { ...places };
    this.#version = version;
  }

  /** One after the other, as partitions are copied side by side. */
  async reach(partition: number, place: string): Promise<void> {
    this.places[partition] = place;
    this.#writing = this.#writing.then(async () => {
      const progress = { from: this.#from, places: this.places };
      this.#version = await writeProgress(this.#to, progress, this.#version);
    });
    await this.#writing;
  }
}

async function begin({ to, fromName, onProgress }: CopyOptions): Promise<Progress> {
  const found = await readProgress(to);
  if (found !== undefined) {
    const { progress, version } = found;
    if (progress.from !== fromName) {
      throw new Error(
        `The target holds an unfinished copy of ${progress.from}: finish that one, or empty the target.`,
      );
    }
    onProgress("going on with the copy that was interrupted");
    return new Progress(to, progress, version);
  }
  await refuseData(to);
  const progress = { from: fromName, places: {} };
  return new Progress(to, progress, await writeProgress(to, progress, 0));
}

async function refuseData(to: Store): Promise<void> {
  let isEmpty = (await to.documentKinds()).length === 0;
  for (let partition = 0; partition < to.partitions && isEmpty; partition++) {
    const { pieces } = await to.dump({ partition, limit: 1 });
    isEmpty = pieces.length === 0;
  }
  if (!isEmpty) throw new Error("The target holds data already: name an empty store or namespace.");
}

async function copyDocuments({ from, to }: CopyOptions): Promise<number> {
  let copied = 0;
  for (const kind of await from.documentKinds()) {
    if (kind === progressKind) continue;
    for (let after: string | undefined; ; ) {
      const page = { kind, limit: documentsPerPage, ...defined({ after }) };
      const documents = await from.listDocuments(page);
      for (const document of documents) await to.restoreDocument({ kind, document });
      copied += documents.length;
      after = documents.at(-1)?.id;
      if (documents.length < documentsPerPage) break;
    }
  }
  return copied;
}

async function copyExecutions(options: CopyOptions, progress: Progress): Promise<void> {
  const { from, onProgress } = options;
  const partitions = Array.from({ length: from.partitions }, (_, partition) => partition);
  const left = partitions.filter((partition) => progress.places[partition] !== "");
  let executions = 0;
  let done = partitions.length - left.length;
  const copyNext = async (): Promise<void> => {
    for (let partition = left.shift(); partition !== undefined; partition = left.shift()) {
      for await (const { pieces, next } of pagesOf(from, partition, progress.places[partition])) {
        await restorePieces(options, pieces);
        executions += pieces.filter(({ first }) => first !== undefined).length;
        await progress.reach(partition, next ?? "");
        onProgress(`${executions} executions copied, ${done} of ${partitions.length} partitions`);
      }
      done++;
    }
  };
  await Promise.all(Array.from({ length: partitionsAtOnce }, copyNext));
}

/** Those of one execution in their order, several executions side by side. */
async function restorePieces(
  { to, clock }: CopyOptions,
  pieces: readonly ExecutionDump[],
): Promise<void> {
  const waiting = [...Map.groupBy(pieces, ({ id }) => id)];
  const restoreNext = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [id, own] = next;
      const key = executionKey(id, to.partitions);
      for (const piece of own) await to.restore({ key, piece, now: nowOf(to, clock) });
    }
  };
  await Promise.all(Array.from({ length: executionsAtOnce }, restoreNext));
}

/** Both, as they are now. */
async function compare({ from, to, clock, onProgress }: CopyOptions): Promise<number> {
  const endsAfter = clock.now() + endingMs;
  const reading = (what: string) => ({ endsAfter, onPage: () => onProgress(`comparing: ${what}`) });
  const expected = await digestsOf(from, reading("reading the source"));
  const actual = await digestsOf(to, reading("reading the target"));
  const differing = [...expected].flatMap(([id, digest]) => (actual.get(id) === digest ? [] : id));
  differing.push(...[...actual.keys()].filter((id) => !expected.has(id)));
  if (differing.length === 0) return expected.size;
  const shown = differing.slice(0, differencesShown).join(", ");
  throw new Error(
    `${differing.length} executions differ between the source and the target: ${shown}. Was the source ` +
      "changed meanwhile? Empty the target, and copy again.",
  );
}
