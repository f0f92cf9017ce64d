/**
 * The shared store: Redis, one server or a cluster. Every operation is one script on the node of its
 * partition; this class only brings requests there and answers back.
 */
import { limits } from "../../base/limits.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { dumpPage } from "../kit/dump.ts";
import { compareText } from "../kit/order.ts";
import type * as contract from "../store.ts";
import { StoreFault } from "../store.ts";
import { Batch } from "./batch.ts";
import { sentenceOf } from "./faults.ts";
import type { Keys } from "./keys.ts";
import { callKeys, ownedMember } from "./keys.ts";
import type { OperationName } from "./library.ts";
import type { RedisLink } from "./link.ts";
import { ListCalls } from "./list-calls.ts";
import type { NodeClock } from "./node-clock.ts";
import { readMemory } from "./node-info.ts";
import { type Packable, pack } from "./pack.ts";
import * as answers from "./replies.ts";
import { encodeCommit, encodeCreate, headText } from "./requests.ts";
import type { Argument, Written } from "./resp.ts";
import { shortTaskId, shortToken } from "./short-ids.ts";
import { Tombstones } from "./tombstones.ts";
import { encodeRestore, keysOf, RedisDump } from "./transfer.ts";
import { type WakeListener, Wakes } from "./wakes.ts";

/** How long a repeated claim finds what the first one was given. */
const claimSeconds = 600;

interface RedisStoreOptions {
  readonly link: RedisLink;
  readonly keys: Keys;
  readonly traits: contract.Traits;
  readonly nodeClock: NodeClock;
  /** False: scripts take any `now` (tests of the contract make up their own). */
  readonly clockCheck: boolean;
  /** Of the namespace, as it was opened. */
  readonly format: number;
}

export class RedisStore implements contract.Store {
  readonly traits: contract.Traits;
  readonly partitions: number;
  readonly #link: RedisLink;
  readonly #keys: Keys;
  readonly #nodeClock: NodeClock;
  readonly #wakes: Wakes;
  readonly #tombstones: Tombstones;
  /** How far a caller's now may be from a node's clock, as scripts take it. */
  readonly #tolerance: string;
  #format: number;
  readonly #creates: Batch<contract.CreateRequest>;
  readonly #commits: Batch<contract.CommitRequest>;
  readonly #lists: ListCalls;
  #dump: RedisDump | undefined;

  constructor({ link, keys, traits, nodeClock, clockCheck, format }: RedisStoreOptions) {
    this.traits = traits;
    this.partitions = keys.bases.length;
    this.#link = link;
    this.#keys = keys;
    this.#nodeClock = nodeClock;
    this.#format = format;
    this.#wakes = new Wakes(link, keys.bases);
    this.#tombstones = new Tombstones(
      this.partitions,
      async (partition) => (await this.#call("count-tombstones", partition, [])) as number,
    );
    this.#tolerance = `${clockCheck ? limits.clockSkewMsMax : -1}`;
    const callWith =
      (name: OperationName) =>
      (keys: readonly string[], args: readonly Argument[], written: readonly Written[]) =>
        link.call(name, keys, [this.#tolerance, ...args], written);
    const onSkewed = () => void nodeClock.measure();
    const common = { onePartition: link.isCluster, onSkewed, clock: link.clock };
    this.#creates = new Batch({ ...common, encode: encodeCreate, call: callWith("create") });
    this.#commits = new Batch({ ...common, encode: encodeCommit, call: callWith("commit") });
    this.#lists = new ListCalls({
      onePartition: link.isCluster,
      call: (keys, args) => link.call("list", keys, args),
    });
  }

  async create(request: contract.CreateRequest): Promise<contract.CreateAnswer> {
    const answer = await this.#creates.submit(this.#base(request.key.partition), request);
    return answers.readCreate(answer, request.commitId);
  }

  async load({ key, fields }: contract.LoadRequest): Promise<contract.LoadAnswer> {
    const wanted = fields === undefined ? ["all"] : ["some", ...fields];
    return answers.readLoad(await this.#call("load", key.partition, [key.id, ...wanted]));
  }

  async commit(request: contract.CommitRequest): Promise<contract.CommitAnswer> {
    const answer = await this.#commits.submit(this.#base(request.key.partition), request);
    return answers.readCommit(request, answer);
  }

  async claimTasks(request: contract.ClaimTasksRequest): Promise<contract.ClaimTasksAnswer> {
    const { partition, tokenPrefix, workerId, heartbeatMs, now, limit } = request;
    const queues = request.queues.flatMap((queue) => [queue.name, queue.limit]);
    const reply = await this.#callTimed("claim-tasks", partition, [
      ...[tokenPrefix, workerId, heartbeatMs, now, limit, claimSeconds, queues],
    ]);
    return answers.readClaim(partition, reply);
  }

  async claimTask(request: contract.ClaimTaskRequest): Promise<contract.ClaimTaskAnswer> {
    const { key, taskId, tokenPrefix, workerId, heartbeatMs, now } = request;
    const reply = await this.#callTimed("claim-task", key.partition, [
      ...[key.id, shortTaskId(key.id, taskId), tokenPrefix, workerId, heartbeatMs, now],
    ]);
    return answers.readTicket(key.partition, reply);
  }

  async readTask({ key, taskId }: contract.TaskPlace): Promise<contract.StoredTask | undefined> {
    const stored = [key.id, shortTaskId(key.id, taskId)];
    return answers.readStoredTask(await this.#call("read-task", key.partition, stored));
  }

  async extendLeases(request: contract.ExtendRequest): Promise<readonly contract.ExtendAnswer[]> {
    const { partition, now, lateMs = 0 } = request;
    const leases = request.leases.flatMap(({ key, taskId, token, until }) => [
      ...[key.id, shortTaskId(key.id, taskId), shortToken(taskId, token), until],
    ]);
    const reply = await this.#callTimed("extend-leases", partition, [now, lateMs, leases]);
    return (reply as number[]).map(answers.readExtension);
  }

  async releaseTasks(request: contract.ReleaseRequest): Promise<readonly contract.ReleaseAnswer[]> {
    const { partition, now } = request;
    const leases = request.tasks.flatMap(({ key, taskId, token }) => [
      ...[key.id, shortTaskId(key.id, taskId), shortToken(taskId, token)],
    ]);
    const reply = await this.#callTimed("release-tasks", partition, [now, leases]);
    return (reply as number[]).map((released) => (released === 1 ? "released" : "stale"));
  }

  async claimDue(request: contract.ClaimDueRequest): Promise<contract.ClaimDueAnswer> {
    return answers.readDue(request.partition, await this.#claim("claim-due", request));
  }

  async listTimers(request: contract.ListTimersRequest): Promise<readonly contract.TimerPlace[]> {
    const { partition, after, limit } = request;
    const from = after === undefined ? [0, ""] : [after.due, ownedMember(after.key.id, after.id)];
    return answers.readTimers(
      partition,
      await this.#call("list-timers", partition, [limit, ...from]),
    );
  }

  async claimOutbox(request: contract.ClaimDueRequest): Promise<contract.ClaimOutboxAnswer> {
    return answers.readOutbox(request.partition, await this.#claim("claim-outbox", request));
  }

  async ackOutbox(request: contract.AckOutboxRequest): Promise<void> {
    const acknowledged = request.messages.flatMap(({ key, id }) => [key.id, id]);
    await this.#call("ack-outbox", request.partition, acknowledged);
  }

  async remove(request: contract.RemoveRequest): Promise<contract.RemoveAnswer> {
    const { key, expected, tombstoneUntil, keepStart, now } = request;
    const reply = await this.#callTimed("remove", key.partition, [
      ...[key.id, headText(expected), tombstoneUntil, now, keepStart ? 1 : 0],
    ]);
    return reply as contract.RemoveAnswer;
  }

  async holdings(key: ExecutionKey): Promise<contract.Holdings> {
    const reply = await this.#call("holdings", key.partition, [key.id]);
    return answers.readHoldings(key.id, reply);
  }

  list(request: contract.ListRequest): Promise<contract.ListAnswer> {
    return this.#lists.list(request, this.#base(request.partition));
  }

  async indexExecutions(
    request: Parameters<NonNullable<contract.Store["indexExecutions"]>>[0],
  ): Promise<"done" | "more"> {
    const { partition, limit } = request;
    return (await this.#call("index-executions", partition, [limit])) === 1 ? "done" : "more";
  }

  async history(request: contract.HistoryRequest): Promise<readonly JsonText[]> {
    const { key, after, limit } = request;
    const reply = await this.#call("history", key.partition, [key.id, after, limit]);
    return reply as string[];
  }

  async queueStats(request: contract.QueueStatsRequest): Promise<readonly contract.QueueStats[]> {
    const { partition, queue } = request;
    const reply = await this.#call("queue-stats", partition, queue === undefined ? [] : [queue]);
    return (reply as answers.Reply[])
      .map(answers.readStats)
      .sort((a, b) => compareText(a.queue, b.queue));
  }

  async queueHints(request: { readonly partition: number }): Promise<readonly string[]> {
    const reply = await this.#call("queue-hints", request.partition, []);
    return [...(reply as string[])].sort(compareText);
  }

  /** Of the fullest node that has a bound, and answers. */
  async pressure(): Promise<contract.Pressure> {
    const counting = this.#tombstones.read();
    const answers = await Promise.allSettled(this.#link.masters().map(readMemory));
    const shares = answers.flatMap((answer) => {
      if (answer.status === "rejected") return [];
      const { used, max } = answer.value;
      return [max > 0 ? used / max : 0];
    });
    if (shares.length > 0) return { used: Math.max(...shares), tombstones: await counting };
    const [failed] = answers;
    const said = failed?.status === "rejected" ? failed.reason.message : "it has no master";
    const reason = sentenceOf(said, this.#link.connectionError);
    throw new StoreFault("not_applied", `Redis did not report its memory: ${reason}`);
  }

  format(): number {
    return this.#format;
  }

  async raiseFormat(format: number): Promise<number> {
    const held = await this.#link.call("raise-format", [this.#keys.settings], [format]);
    // A namespace that was emptied under its servers holds nothing that they could not read.
    if (held !== null) this.#format = held as number;
    return this.#format;
  }

  timeOffset(): number {
    return this.#nodeClock.offset;
  }

  complaint(): string | undefined {
    return this.#nodeClock.complaint;
  }

  onWake(listener: WakeListener, onNote?: WakeListener): Promise<void> {
    return this.#wakes.listen(listener, onNote);
  }

  sendNote(partition: number, text: string): Promise<void> {
    return this.#wakes.sendNote(this.#base(partition), text);
  }

  async getDocument(request: contract.DocumentPlace): Promise<contract.Document | undefined> {
    const [documents] = this.#keys.documents(request.kind);
    const reply = await this.#link.call("get-document", [documents], [request.id]);
    if (reply === null) return undefined;
    const [version, body] = reply as [number, string];
    return { id: request.id, version, body };
  }

  async putDocument(request: contract.PutRequest): Promise<contract.PutAnswer> {
    const { kind, id, expectedVersion, body } = request;
    const keys = this.#keys.documents(kind);
    const reply = await this.#link.call("put-document", keys, [id, expectedVersion, body]);
    const [saved, version] = reply as [number, number];
    return { outcome: saved === 1 ? "saved" : "conflict", version };
  }

  async listDocuments(
    request: contract.ListDocumentsRequest,
  ): Promise<readonly contract.Document[]> {
    const { kind, prefix = "", after, limit } = request;
    const args = [prefix, limit, ...(after === undefined ? [] : [after])];
    const reply = await this.#link.call("list-documents", this.#keys.documents(kind), args);
    const list = reply as readonly (readonly [string, number, string])[];
    return list.map(([id, version, body]) => ({ id, version, body }));
  }

  async deleteDocument(request: contract.DocumentPlace): Promise<boolean> {
    const keys = this.#keys.documents(request.kind);
    return (await this.#link.call("delete-document", keys, [request.id])) === 1;
  }

  async documentKinds(): Promise<readonly string[]> {
    const { documentsPrefix } = this.#keys;
    const keys = await keysOf(this.#link, documentsPrefix);
    return keys.map((key) => key.slice(documentsPrefix.length)).sort(compareText);
  }

  async restoreDocument({ kind, document }: contract.RestoreDocumentRequest): Promise<void> {
    const { id, version, body } = document;
    await this.#link.call("restore-document", this.#keys.documents(kind), [id, version, body]);
  }

  dump(request: contract.DumpRequest): Promise<contract.DumpAnswer> {
    this.#dump ??= new RedisDump(this.#link, this.#keys.bases, (name, partition, args) =>
      this.#call(name, partition, args),
    );
    return dumpPage(this.#dump, request);
  }

  async restore(request: contract.RestoreRequest): Promise<void> {
    await this.#call("restore", request.key.partition, [encodeRestore(request)]);
  }

  async beatServer(request: contract.BeatRequest): Promise<void> {
    const { id, body, now, ttlMs } = request;
    const args = [this.#tolerance, pack([id, body, now, ttlMs])];
    await this.#link.call("beat-server", [this.#keys.servers], args);
  }

  async listServers(request: { readonly now: number }): Promise<readonly contract.LiveServer[]> {
    const args = [this.#tolerance, request.now];
    const reply = await this.#link.call("list-servers", [this.#keys.servers], args);
    return (reply as readonly (readonly [string, string])[])
      .map(([id, body]) => ({ id, body }))
      .sort((a, b) => compareText(a.id, b.id));
  }

  async leaveServer(request: { readonly id: string }): Promise<void> {
    await this.#link.call("leave-server", [this.#keys.servers], [request.id]);
  }

  async close(): Promise<void> {
    this.#nodeClock.close();
    this.#wakes.close();
    this.#link.close();
  }

  #base(partition: number): string {
    const base = this.#keys.bases[partition];
    if (base === undefined) throw new RangeError(`There is no partition ${partition}.`);
    return base;
  }

  async #call(name: OperationName, partition: number, args: readonly Argument[]) {
    return (await this.#link.call(name, callKeys(this.#base(partition)), args)) as answers.Reply;
  }

  /** With a moment, which the script compares with its node's clock. */
  #callTimed(name: OperationName, partition: number, request: Packable): Promise<answers.Reply> {
    return this.#call(name, partition, [this.#tolerance, pack(request)]);
  }

  #claim(name: OperationName, request: contract.ClaimDueRequest): Promise<answers.Reply> {
    const { partition, claimId, limit, hideMs, now } = request;
    return this.#callTimed(name, partition, [claimId, limit, hideMs, now, claimSeconds]);
  }
}
