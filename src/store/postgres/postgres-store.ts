/** The store in PostgreSQL: requests become calls of the functions of migrations/, or statements. */
import type { Clock } from "../../base/clock.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { withNextDue } from "../kit/due.ts";
import { dumpPage } from "../kit/dump.ts";
import type { NodeClock } from "../kit/node-clock.ts";
import type * as contract from "../store.ts";
import { Changes } from "./changes.ts";
import { Documents } from "./documents.ts";
import { toFault } from "./faults.ts";
import { KnownClaims } from "./known-claims.ts";
import type { PostgresLink } from "./link.ts";
import { list } from "./listings.ts";
import { Reads } from "./reads.ts";
import { commitChange, createChange, partChange, removeChange } from "./requests.ts";
import { PostgresDump, restore } from "./transfer.ts";
import type { Wakes } from "./wakes.ts";

/** As the function claim_due returns it. */
interface DueRow {
  readonly kind: 0 | 1;
  readonly execution_id: string;
  readonly id: string;
  /** Of a task: the end of its lease, or of its wait. */
  readonly at: number;
  /** Of a task: 0 queued, 1 leased. */
  readonly state: number | null;
  readonly token: string;
  readonly worker_id: string;
  readonly deadline: number;
}

interface DueAnswer {
  readonly items: readonly DueRow[];
  readonly nextDue: number | null;
}

interface OutboxAnswer {
  readonly messages: readonly contract.OutboxMessage[];
  readonly nextDue: number | null;
}

function dueItem(row: DueRow, partition: number): contract.DueItem {
  const key = { partition, id: row.execution_id };
  const { id, at, token, worker_id: workerId, deadline } = row;
  if (row.kind === 0) return { kind: "timer", key, id, at };
  if (row.state === 0) return { kind: "queue", key, taskId: id, queueUntil: at };
  return { kind: "lease", key, taskId: id, token, workerId, leaseUntil: at, deadline };
}

interface Options {
  readonly link: PostgresLink;
  readonly clock: Clock;
  readonly nodeClock: NodeClock;
  /** Absent: notifications do not come through to this server. */
  readonly wakes: Wakes | undefined;
  readonly traits: contract.Traits;
  readonly partitions: number;
  readonly format: number;
}

export class PostgresStore implements contract.Store {
  readonly traits: contract.Traits;
  readonly partitions: number;
  readonly #link: PostgresLink;
  readonly #nodeClock: NodeClock;
  readonly #wakes: Wakes | undefined;
  readonly onWake?: NonNullable<contract.Store["onWake"]>;
  readonly sendNote?: NonNullable<contract.Store["sendNote"]>;
  readonly #changes: Changes;
  readonly #reads: Reads;
  readonly #documents: Documents;
  readonly #taskClaims = new KnownClaims();
  readonly #dueClaims = new KnownClaims();
  readonly #outboxClaims = new KnownClaims();
  #format: number;

  constructor({ link, clock, nodeClock, wakes, traits, partitions, format }: Options) {
    this.traits = traits;
    this.partitions = partitions;
    this.#link = link;
    this.#nodeClock = nodeClock;
    this.#wakes = wakes;
    this.#format = format;
    this.#changes = new Changes(link, clock);
    this.#reads = new Reads(link);
    this.#documents = new Documents(link);
    if (wakes === undefined) return;
    this.onWake = async (listener, onNote) => wakes.listen(listener, onNote);
    this.sendNote = (partition, text) => wakes.note(partition, text);
  }

  async create(request: contract.CreateRequest): Promise<contract.CreateAnswer> {
    const answer = await this.#changes.submit<contract.CreateAnswer>(createChange(request));
    if (answer !== null && answer !== "missing") return answer;
    this.#tell(request.key, request.effects.tasks);
    return { outcome: "created", head: { revision: 1, commitId: request.commitId } };
  }

  load(request: contract.LoadRequest): Promise<contract.LoadAnswer> {
    return this.#reads.load(request);
  }

  async commit(request: contract.CommitRequest): Promise<contract.CommitAnswer> {
    type Answer = contract.CommitAnswer | { readonly offered: readonly string[] };
    const answer = await this.#changes.submit<Answer>(commitChange(request));
    if (answer === "missing") return { outcome: "not_found" };
    if (answer !== null && "outcome" in answer) return answer;
    this.#tell(request.key, request.effects.tasks);
    for (const queue of answer?.offered ?? []) this.#wakes?.tell(request.key.partition, queue);
    const { expected, commitId } = request;
    return { outcome: "committed", head: { revision: expected.revision + 1, commitId } };
  }

  async remove(request: contract.RemoveRequest): Promise<contract.RemoveAnswer> {
    const answer = await this.#changes.submit<contract.RemoveAnswer>(removeChange(request));
    return answer === null || answer === "missing" ? "not_found" : answer;
  }

  holdings(key: ExecutionKey): Promise<contract.Holdings> {
    return this.#reads.holdings(key);
  }

  history(request: contract.HistoryRequest): Promise<readonly JsonText[]> {
    return this.#reads.history(request);
  }

  list(request: contract.ListRequest): Promise<contract.ListAnswer> {
    return list(this.#link, request);
  }

  async claimTasks(request: contract.ClaimTasksRequest): Promise<contract.ClaimTasksAnswer> {
    const tokens = ({ tasks }: contract.ClaimTasksAnswer) => tasks.map(({ token }) => token);
    const claim = async (earlier: readonly string[] | undefined) => {
      const again = earlier !== undefined;
      const answer = await this.#claim<contract.ClaimTasksAnswer>("claim_tasks", request, again);
      if (!again) return answer;
      const { tasks, more } = answer;
      const place = ({ token }: contract.LeasedTask) => earlier.indexOf(token);
      // A ticket may have been claimed under the same prefix: that was another claim.
      const given = earlier.length === 0 ? tasks : tasks.filter((task) => place(task) >= 0);
      return { tasks: given.toSorted((a, b) => place(a) - place(b)), more };
    };
    return await this.#taskClaims.run(`${request.partition}/${request.tokenPrefix}`, claim, tokens);
  }

  async claimTask(request: contract.ClaimTaskRequest): Promise<contract.ClaimTaskAnswer> {
    const change = partChange("ticket", request);
    const answer = await this.#changes.submit<contract.ClaimTaskAnswer>(change);
    return answer === null || answer === "missing" ? { outcome: "unknown" } : answer;
  }

  readTask(request: contract.TaskPlace): Promise<contract.StoredTask | undefined> {
    return this.#reads.task(request);
  }

  async extendLeases(request: contract.ExtendRequest): Promise<readonly contract.ExtendAnswer[]> {
    const { now, lateMs = 0 } = request;
    return await Promise.all(
      request.leases.map(async (lease) => {
        const change = partChange("extend", { ...lease, now, lateMs });
        const answer = await this.#changes.submit<contract.ExtendAnswer>(change);
        return answer === null || answer === "missing" ? { outcome: "stale" } : answer;
      }),
    );
  }

  async releaseTasks(request: contract.ReleaseRequest): Promise<readonly contract.ReleaseAnswer[]> {
    const { now } = request;
    return await Promise.all(
      request.tasks.map(async (lease) => {
        const change = partChange("release", { ...lease, now });
        const released = await this.#changes.submit<{ readonly queue: string }>(change);
        if (released === null || released === "missing") return "stale";
        this.#wakes?.tell(lease.key.partition, released.queue);
        return "released";
      }),
    );
  }

  queueStats(request: contract.QueueStatsRequest): Promise<readonly contract.QueueStats[]> {
    return this.#reads.queueStats(request);
  }

  queueHints({ partition }: { readonly partition: number }): Promise<readonly string[]> {
    return this.#reads.queueHints(partition);
  }

  async claimDue(request: contract.ClaimDueRequest): Promise<contract.ClaimDueAnswer> {
    const { items, nextDue } = await this.#dueClaims.run(
      `${request.partition}/${request.claimId}`,
      (earlier) => this.#claim<DueAnswer>("claim_due", request, earlier !== undefined),
      (answer) => answer.items.map(({ id }) => id),
    );
    return withNextDue({ items: items.map((row) => dueItem(row, request.partition)) }, nextDue);
  }

  async claimOutbox(request: contract.ClaimDueRequest): Promise<contract.ClaimOutboxAnswer> {
    const { messages, nextDue } = await this.#outboxClaims.run(
      `${request.partition}/${request.claimId}`,
      (earlier) => this.#claim<OutboxAnswer>("claim_outbox", request, earlier !== undefined),
      (answer) => answer.messages.map(({ id }) => id),
    );
    return withNextDue({ messages }, nextDue);
  }

  async ackOutbox({ messages }: contract.AckOutboxRequest): Promise<void> {
    await Promise.all(messages.map((message) => this.#changes.submit(partChange("ack", message))));
  }

  getDocument(request: contract.DocumentPlace): Promise<contract.Document | undefined> {
    return this.#documents.get(request);
  }

  putDocument(request: contract.PutRequest): Promise<contract.PutAnswer> {
    return this.#documents.put(request);
  }

  listDocuments(request: contract.ListDocumentsRequest): Promise<readonly contract.Document[]> {
    return this.#documents.list(request);
  }

  deleteDocument(request: contract.DocumentPlace): Promise<boolean> {
    return this.#documents.delete(request);
  }

  documentKinds(): Promise<readonly string[]> {
    return this.#documents.kinds();
  }

  restoreDocument(request: contract.RestoreDocumentRequest): Promise<void> {
    return this.#documents.restore(request);
  }

  dump(request: contract.DumpRequest): Promise<contract.DumpAnswer> {
    return dumpPage(new PostgresDump(this.#link), request);
  }

  restore(request: contract.RestoreRequest): Promise<void> {
    return restore(this.#link, request);
  }

  beatServer(request: contract.BeatRequest): Promise<void> {
    return this.#documents.beat(request);
  }

  listServers({ now }: { readonly now: number }): Promise<readonly contract.LiveServer[]> {
    return this.#documents.servers(now);
  }

  leaveServer({ id }: { readonly id: string }): Promise<void> {
    return this.#documents.leave(id);
  }

  format(): number {
    return this.#format;
  }

  /** Every server calls it at every beat: what is as high is only read. */
  async raiseFormat(format: number): Promise<number> {
    const { schema } = this.#link;
    const [row] = await this.#link
      .query<{ readonly value: string }>(
        `WITH raised AS (UPDATE ${schema}.settings SET value = $1::int::text
           WHERE name = 'format' AND value::int < $1::int RETURNING value)
         SELECT value FROM raised UNION ALL SELECT value FROM ${schema}.settings
           WHERE name = 'format' AND NOT EXISTS (SELECT FROM raised)`,
        [format],
      )
      .catch((error) => {
        throw toFault(error);
      });
    this.#format = Number(row?.value ?? this.#format);
    return this.#format;
  }

  /** What PostgreSQL has room for, it does not say. */
  async pressure(): Promise<contract.Pressure> {
    return { used: 0, tombstones: await this.#reads.tombstones() };
  }

  timeOffset(): number {
    return this.#nodeClock.offset;
  }

  async close(): Promise<void> {
    this.#nodeClock.close();
    await this.#link.close();
  }

  async #claim<Answer>(name: string, request: object, again: boolean): Promise<Answer> {
    try {
      return await this.#link.call<Answer>(name, JSON.stringify({ ...request, again }));
    } catch (error) {
      throw toFault(error);
    }
  }

  #tell({ partition }: ExecutionKey, tasks: contract.StoreEffects["tasks"]): void {
    for (const { queue, lease } of tasks)
      if (lease === undefined) this.#wakes?.tell(partition, queue);
  }
}
