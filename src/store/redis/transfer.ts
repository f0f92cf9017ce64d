/** Dumps of a Redis store, and requests for what they restore. */
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import {
  type DumpKind,
  type DumpRows,
  type DumpSource,
  dumpCharsMax,
  dumpRowsMax,
  firstAfter,
  takeRows,
} from "../kit/dump.ts";
import { compareText } from "../kit/order.ts";
import type { DumpedHead, DumpedTask, ExecutionDump, RestoreRequest } from "../store.ts";
import { listMember } from "./keys.ts";
import type { RedisLink } from "./link.ts";
import { type Packable, type PackableMap, pack, packInto, written } from "./pack.ts";
import { type Reply, readStatus } from "./replies.ts";
import {
  endOf,
  headText,
  inlineRevisionsMax,
  readTaskText,
  recordTextMax,
  statusText,
  taskText,
} from "./requests.ts";
import type { Argument } from "./resp.ts";
import { shortTaskId, shortToken, wholeTaskId, wholeToken } from "./short-ids.ts";

/** Keys that one step of a scan looks at. */
const keysPerScan = 10_000;
/** Places of one millisecond, which tasks of one execution may overrun. */
const placesPerMs = 8;

type Call = (
  name: "dump-head" | "dump-rows" | "history",
  partition: number,
  args: readonly Argument[],
) => Promise<Reply>;

export class RedisDump implements DumpSource {
  readonly #link: RedisLink;
  readonly #bases: readonly string[];
  readonly #call: Call;
  /** Of partitions that are being dumped: Redis has no index of tombstones. */
  readonly #ids = new Map<number, readonly string[]>();

  constructor(link: RedisLink, bases: readonly string[], call: Call) {
    this.#link = link;
    this.#bases = bases;
    this.#call = call;
  }

  async ids(request: Parameters<DumpSource["ids"]>[0]): Promise<readonly string[]> {
    const { partition, after, limit } = request;
    let ids = after === undefined ? undefined : this.#ids.get(partition);
    if (ids === undefined) {
      const prefix = `${this.#bases[partition]}:x:`;
      const keys = await keysOf(this.#link, prefix);
      ids = keys.map((key) => key.slice(prefix.length)).sort(compareText);
    }
    const first = firstAfter(ids, after);
    if (first + limit < ids.length) this.#ids.set(partition, ids);
    else this.#ids.delete(partition);
    return ids.slice(first, first + limit);
  }

  async head(key: ExecutionKey): Promise<DumpedHead | undefined> {
    const reply = await this.#call("dump-head", key.partition, [key.id]);
    return reply === null ? undefined : readHead(key.id, reply as readonly Reply[]);
  }

  async rows<Kind extends DumpKind>(
    { partition, id }: ExecutionKey,
    kind: Kind,
    skip: number,
  ): Promise<readonly DumpRows[Kind][]> {
    if (kind === "history") {
      const entries = await this.#call("history", partition, [id, skip, dumpRowsMax]);
      return takeRows(entries as string[], 0) as DumpRows[Kind][];
    }
    const bounds = [skip, dumpRowsMax, dumpCharsMax];
    const rows = (await this.#call("dump-rows", partition, [id, kind, ...bounds])) as Reply[][];
    return rows.map((row) => readRow[kind as "fields"](id, row)) as unknown as DumpRows[Kind][];
  }
}

/** Keys with this prefix, each once. */
export async function keysOf(link: RedisLink, prefix: string): Promise<string[]> {
  const pattern = `${prefix.replaceAll(/[*?[\]\\]/g, "\\$&")}*`;
  const found = new Set<string>();
  for (const node of link.masters()) {
    for (let cursor = "0"; ; ) {
      const [next, keys] = await node.scan(cursor, "MATCH", pattern, "COUNT", keysPerScan);
      for (const key of keys) found.add(key);
      cursor = next;
      if (cursor === "0") break;
    }
  }
  return [...found];
}

function readHead(id: string, reply: readonly Reply[]): DumpedHead {
  if (reply[0] === "tombstone") {
    const [, text, until, hash, status] = reply as [string, string, number, ...(string | null)[]];
    const [revision = "", commitId = ""] = text.trimEnd().split(" ");
    const head = { revision: Number(revision), commitId };
    if (hash == null || status == null) return { kind: "tombstone", head, until };
    const requestHash = hash.slice(0, limits.keptHashChars);
    return { kind: "tombstone", head, until, kept: { requestHash, ...readStatus(status) } };
  }
  const [, revision, commits, createdBy, hash, listed, status, held, state] = reply as [
    ...[string, number, string[], string, string | null],
    ...[Reply[], string, number, string],
  ];
  const [, workflow, correlationId, version, startedAt, parent, inline] = listed;
  return {
    kind: "execution",
    head: { revision, commitId: commits.at(-1)! },
    recentCommitIds: commits.filter((commit) => commit !== ""),
    createdBy,
    listing: {
      id,
      workflow: workflow as string,
      version: version as number,
      startedAt: startedAt as number,
      ...readStatus(status),
      ...defined({
        correlationId: (correlationId as string | null) ?? undefined,
        parent: (parent as string | null | undefined) ?? undefined,
        inline: inline === 1 ? (true as const) : undefined,
      }),
    },
    held: held === 1,
    state,
    ...defined({ requestHash: hash ?? undefined }),
  };
}

const readRow = {
  fields: (_: string, [name, value]: Reply[]) => [name, value] as [string, string],
  timers: (_: string, [id, at]: Reply[]) => ({ id: id as string, at: at as number }),
  messages: (_: string, [id, body, deliveries]: Reply[]) => {
    return { id: id as string, body: body as string, deliveries: deliveries as number };
  },
  tasks: readTask,
};

const states = { Q: "queued", L: "leased", D: "dropped" } as const;

function readTask(execution: string, row: Reply[]): DumpedTask {
  const [stored, values, letter, token, text] = row as [string, Reply[], "Q", string, string];
  const [queue, until, workerId, leasedAt, deadline, queueLeft, , ...terms] = values;
  const [priority, queuedAt, timeoutMs, heartbeatMs] = terms as [number, number, number, number];
  const id = wholeTaskId(execution, stored);
  const lease = { token: wholeToken(id, token), workerId, leasedAt, deadline };
  return {
    id,
    queue: queue as string,
    priority,
    timeoutMs,
    heartbeatMs,
    queuedAt,
    ...readTaskText(text),
    state: states[letter],
    until: until as number | null,
    queueLeft: queueLeft as number | null,
    lease: token === "" ? undefined : (lease as NonNullable<DumpedTask["lease"]>),
  };
}

/** See scripts/restore.lua. */
export function encodeRestore({ key, piece, now }: RestoreRequest): Buffer {
  const { first, fields, history, tasks, timers, messages } = piece;
  return pack([
    key.id,
    now,
    first === undefined ? false : encodeFirst(key.id, first),
    fields.flat(),
    [history.after, history.items],
    encodeTasks(key.id, tasks),
    timers.flatMap(({ id, at }) => [id, at]),
    messages.flatMap(({ id, body, deliveries }) => [id, body, deliveries]),
  ]);
}

function encodeFirst(id: string, first: DumpedHead): PackableMap {
  const { head } = first;
  if (first.kind === "tombstone") {
    const { requestHash, status, endedAt } = first.kept ?? {};
    const kept = status === undefined ? undefined : statusText(status, endedAt);
    return {
      until_moment: first.until,
      head: headText(head),
      request_hash: requestHash,
      status: kept,
    };
  }
  const { listing, createdBy, requestHash, held, state } = first;
  const { workflow, version, startedAt, parent, inline } = listing;
  const status = statusText(listing.status, listing.endedAt);
  const member = listMember({ startedAt, id });
  const correlationId = listing.correlationId ?? (false as const);
  const child = parent === undefined ? [] : [parent, inline === true ? 1 : 0];
  const listed = [member, workflow, correlationId, version, startedAt, ...child];
  const ends = first.recentCommitIds.slice(-limits.commitIdsKept).map(endOf).join("");
  const fields: Packable[] = [
    ...["r", `${headText(head)}+${ends}\n${status}`, "S", state],
    ...["l", written((out) => packInto(out, listed))],
    ...commitFields(first.recentCommitIds, createdBy, head.revision),
    ...(requestHash === undefined ? [] : ["q", requestHash]),
    ...(held ? ["h", "1"] : []),
  ];
  return { fields, status, member, workflow, correlation_id: correlationId, parent };
}

/** All that lib/heads.lua looks for; what a dump does not know has no id. */
function commitFields(recent: readonly string[], createdBy: string, revision: number): string[] {
  const idOf = (one: number) => recent.at(one - revision - 1) ?? "";
  const fields: string[] = [];
  for (let one = 1; one <= Math.min(revision, inlineRevisionsMax); one++) {
    fields.push(`n:${one}`, one === 1 ? createdBy : idOf(one));
  }
  const first = Math.max(inlineRevisionsMax + 1, revision - limits.commitIdsKept + 1);
  for (let one = first; one <= revision; one++) {
    fields.push(`c${one % limits.commitIdsKept}`, idOf(one));
  }
  return fields;
}

const letters = { queued: "Q", leased: "L", dropped: "D" } as const;

function encodeTasks(execution: string, { after, items }: ExecutionDump["tasks"]): Packable[] {
  return items.map((task, i) => {
    const { id, queue, priority, timeoutMs, heartbeatMs, queuedAt, state, until, lease } = task;
    const text = taskText(task);
    return [
      ...[queue, until ?? false, lease?.workerId ?? false, lease?.leasedAt ?? false],
      ...[lease?.deadline ?? false, task.queueLeft ?? false, false],
      ...[priority, queuedAt, timeoutMs, heartbeatMs],
      ...[shortTaskId(execution, id), letters[state], lease ? shortToken(id, lease.token) : ""],
      ...[text, queuedAt * placesPerMs + after + i, text.length <= recordTextMax],
    ];
  });
}
