/**
 * Brings tasks to the polls that wait for them, in two ways. *Hand-off*: a commit that adds a task
 * takes a waiting poll and leases the task to it in the same commit. *Claim*: a poll with room
 * claims from the queues that are hinted to hold something. Tasks that fit no Struct are in a
 * queue beside their own (`jsonQueueKey`): polls wait in line for plain queues only, and those that
 * take JSON are given the tasks of both.
 */
import type { Clock, Ids } from "../../base/clock.ts";
import type { NewTask } from "../../model/decision.ts";
import { type ExecutionKey, formatToken, plainQueueKey, tokenPrefix } from "../../model/ids.ts";
import type { Ticket, TicketQueue } from "../../queue/queue.ts";
import { leaseTerms } from "../../store/kit/task-life.ts";
import { type HandOff, type LeasedTask, type Store, StoreFault } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import { logFault } from "../shared/faults.ts";
import { GiveBack } from "./give-back.ts";
import { Hints } from "./hints.ts";
import { ParkedPolls } from "./parked-polls.ts";
import { Poll, type PollOptions } from "./poll.ts";
import { TaskSizes, taskChars } from "./task-sizes.ts";
import { TicketClaims } from "./ticket-claims.ts";
import { type TicketEvent, Tickets } from "./tickets.ts";

/** While a queue has held something for longer than this, new tasks do not overtake it. */
const overtakeMs = 2_000;

/** How many partitions one poll claims from at the same time. */
const claimsAtOnce = 16;
/** A claim of few tasks costs nearly as much as one of many: it claims this many of a partition. */
const tasksPerClaim = 16;

/** How long after a failed claim a waiting poll tries again. */
const claimRetryMs = 1_000;

export class Dispatcher {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #ids: Ids;
  readonly #log: Logger;
  /** Called with moments at which something of a partition may be due, so that it is looked at. */
  readonly #onDue: (partition: number, at: number) => void;
  readonly #giveBack: GiveBack;
  /** Absent: the store's own queue is the only one. */
  readonly #tickets: Tickets | undefined;
  readonly #polls = new ParkedPolls();
  readonly #hints = new Hints();
  readonly #sizes = new TaskSizes();
  #draining = false;

  constructor(options: {
    store: Store;
    clock: Clock;
    ids: Ids;
    log: Logger;
    onDue: (partition: number, at: number) => void;
    broker?: TicketQueue | undefined;
    countTickets?: (event: TicketEvent, tickets: number) => void;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#ids = options.ids;
    this.#log = options.log;
    this.#onDue = options.onDue;
    const onReleased = (task: LeasedTask) => {
      this.#onDue(task.key.partition, this.#clock.now());
      this.queued(task.key, task);
    };
    const { store, clock, log, broker, countTickets = () => {} } = options;
    this.#giveBack = new GiveBack({ store, clock, log, onReleased });
    const claims = new TicketClaims({
      ...options,
      polls: this.#polls,
      sizes: this.#sizes,
      giveBack: this.#giveBack,
      place: (poll, task) => {
        this.#onDue(task.key.partition, task.leaseUntil);
        this.#place(poll, task);
      },
      onRoom: (poll) => {
        if (!poll.filling) poll.filled();
        this.#want(poll);
      },
    });
    const hint = ({ key, queue }: Ticket) => this.hint(key.partition, queue);
    this.#tickets = broker && new Tickets({ broker, clock, log, claims, hint, countTickets });
  }

  /** Undefined: there is none. While it is there, looks into the store may be rare. */
  get broker(): "there" | "away" | undefined {
    return this.#tickets && (this.#tickets.isAway ? "away" : "there");
  }

  /** Polls of callers. */
  get parked(): number {
    return this.#polls.size - this.#polls.inner;
  }

  get isPolled(): boolean {
    return this.#polls.size > 0;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Registers a poll; from now on tasks may be handed to it. Throws where it has no room. */
  open(options: Omit<PollOptions, "nonce" | "clock" | "onClosed">): Poll {
    const poll = new Poll({
      ...options,
      queues: options.queues.map((queue) => this.#polls.nameOf(queue)),
      nonce: this.#ids.nonce(),
      clock: this.#clock,
      onClosed: (closed) => this.#polls.remove(closed),
    });
    this.#polls.add(poll);
    if (this.#draining) poll.close();
    return poll;
  }

  hasPoll(workerId: string): boolean {
    return this.#polls.ofWorker(workerId) !== undefined;
  }

  /** Ends the longest waiting poll of a worker, also without a task. */
  hurry(workerId: string): void {
    this.#polls.ofWorker(workerId)?.hurry();
  }

  /** Ends every poll, with what it has, and those that still come. */
  drain(): void {
    this.#draining = true;
    this.#polls.closeAll();
    this.#tickets?.stop();
  }

  // Hand-off

  /**
   * Reserves a place for a task that is about to be committed: first in the poll that brought the
   * result it follows from. `deliver` or `withdraw` must follow.
   */
  offer(
    partition: number,
    task: NewTask,
    origin: Poll | undefined,
    now: number,
  ): { poll: Poll; lease: HandOff } | undefined {
    const since = this.#hints.since(task.queue, partition);
    if (since !== undefined && now - since > overtakeMs) return undefined;
    if (this.#tickets?.isBehind(task.queue, overtakeMs)) return undefined;
    const poll = this.#pollFor(task, origin, since !== undefined);
    if (poll === undefined) return undefined;
    poll.reserved += 1;
    poll.reservedChars += taskChars(task);
    const { workerId, heartbeatMs } = poll;
    const { leaseUntil, deadline } = leaseTerms(task, { heartbeatMs, now });
    const token = formatToken(tokenPrefix(now, poll.nonce), task.id);
    return { poll, lease: { token, workerId, leaseUntil, deadline } };
  }

  /** Where older work is hinted, only the poll that brought the result may go on with its own. */
  #pollFor(task: NewTask, origin: Poll | undefined, hinted: boolean): Poll | undefined {
    const { queue } = task;
    const chars = taskChars(task);
    if (origin?.fits(chars) && origin.takes(queue)) return origin;
    if (hinted) return undefined;
    for (const poll of this.#polls.for(queue)) {
      if (poll.spare > 0 && poll.fits(chars)) return poll;
    }
    return undefined;
  }

  withdraw(poll: Poll, task: NewTask): void {
    poll.withdraw(taskChars(task));
    this.#want(poll);
  }

  /** A task was leased apart from polls. */
  leased({ key, leaseUntil }: LeasedTask): void {
    this.#onDue(key.partition, leaseUntil);
  }

  /** The commit holds: the task belongs to the poll, or to another, or goes back. */
  deliver(poll: Poll, task: LeasedTask): void {
    poll.reserved -= 1;
    poll.reservedChars -= taskChars(task);
    this.#onDue(task.key.partition, task.leaseUntil);
    this.#place(poll, task);
  }

  #place(poll: Poll, task: LeasedTask): void {
    if (poll.add(task)) return;
    for (const other of this.#polls.for(task.queue)) {
      // The lease was given under other terms of heartbeats: only a poll with the same may have it.
      if (other.heartbeatMs === poll.heartbeatMs && other.room > 0 && other.add(task)) return;
    }
    this.giveBack([task]);
  }

  /** Tasks that cannot be delivered go back to their queues at once, no attempt burnt. */
  giveBack(tasks: readonly LeasedTask[]): void {
    for (const task of tasks) this.#giveBack.task(task);
  }

  // Claims

  /** By ticket, for a caller. */
  claimTask(...[request]: Parameters<GiveBack["claimTask"]>): ReturnType<GiveBack["claimTask"]> {
    return this.#giveBack.claimTask(request);
  }

  /** The commit that queued a task holds, or its lease was given up. */
  queued(key: ExecutionKey, { id, queue }: Pick<NewTask, "id" | "queue">): void {
    if (this.#tickets === undefined) this.hint(key.partition, queue);
    else this.#tickets.offer({ queue, key, taskId: id, at: this.#clock.now() });
  }

  /** What other servers say of a shared store; where tickets come, they bring the same. */
  woken(partition: number, queue: string): void {
    if (this.broker !== "there") this.hint(partition, queue);
  }

  /** Something claimable was put into this queue. */
  hint(partition: number, queue: string): void {
    this.#hints.add(queue, partition, this.#clock.now());
    this.#wake(queue);
  }

  /** Plain queues that hold something, or their queues for JSON do, and that no poll waits for. */
  *unattended(): Iterable<string> {
    for (const queue of this.#hints.queues()) {
      if (!this.#polls.isAnyInLine(queue)) yield plainQueueKey(queue);
    }
  }

  /** Those that are hinted to hold tasks that fit no Struct. */
  get jsonQueues(): ReadonlySet<string> {
    return this.#hints.jsonQueues;
  }

  /** Whether polls wait that are given the tasks of a queue for JSON, and whether others do. */
  awaiting(queue: string): { readonly json: boolean; readonly structOnly: boolean } {
    const polls = [...this.#polls.inLine(queue)];
    const json = polls.some((poll) => poll.takes(queue));
    return { json, structOnly: polls.some((poll) => !poll.takes(queue)) };
  }

  /** Ids of the workers whose polls wait for tasks of a queue. */
  waitingWorkers(queue: string): readonly string[] {
    return [...this.#polls.for(queue)].map(({ workerId }) => workerId);
  }

  /** Forgets where it was hinted to hold something, and returns that. */
  unhintAll(queue: string): readonly number[] {
    return this.#hints.removeAll(queue);
  }

  /** Has the longest waiting poll with room claim, unless it is claiming already. */
  #wake(queue: string, except?: Poll): void {
    for (const poll of this.#polls.for(queue)) {
      if (poll === except || poll.filling || poll.spare === 0) continue;
      this.fill(poll);
      return;
    }
  }

  /**
   * Tasks of these executions, all of one partition, were given back or may be handed out again: of
   * which queues is looked up.
   */
  async letGo(keys: readonly ExecutionKey[]): Promise<void> {
    const [first] = keys;
    if (first === undefined) return;
    await this.refresh(first.partition);
    if (this.broker !== "there") return;
    for (const key of new Map(keys.map((key) => [key.id, key])).values()) {
      const { tasks } = await this.#store.holdings(key);
      for (const task of tasks) if (task.state === "queued") this.queued(key, task);
    }
  }

  /**
   * Reads the hints of a partition from the store: at start, after a resume or release, in a sweep.
   * The queue timeouts of what was let go run again.
   */
  async refresh(partition: number): Promise<void> {
    this.#onDue(partition, this.#clock.now());
    for (const queue of await this.#store.queueHints({ partition })) this.hint(partition, queue);
  }

  /**
   * Claims for a poll from partitions that are hinted to hold something for it, several at once.
   */
  fill(poll: Poll): void {
    if (!poll.filling && !this.#startClaims(poll)) poll.filled();
    this.#want(poll);
  }

  /** Tickets are received for polls that wait. */
  #want(poll: Poll): void {
    if (poll.empty && poll.spare > 0) this.#tickets?.wanted(poll.queues, { looks: poll.onlyLooks });
  }

  /** False: the poll is full, or nothing is hinted. */
  #startClaims(poll: Poll): boolean {
    // One is carried by an empty answer, however large it is.
    const fitting = this.#sizes.fitting(poll);
    const room = Math.min(poll.spare, Math.max(fitting, poll.empty ? 1 : 0));
    const most = Math.min(claimsAtOnce, Math.ceil(room / tasksPerClaim));
    const partitions = most > 0 ? this.#hintedPartitions(poll, most) : [];
    if (partitions.length === 0) return false;
    poll.filling = true;
    let failed = false;
    const claims = partitions.map((partition, index) => {
      // Even shares that make up the room: what does not divide goes to the first ones.
      const limit = Math.ceil((room - index) / partitions.length);
      return this.#claim(poll, partition, limit).catch((error) => {
        failed = true;
        logFault(this.#log, "a claim failed", error, { partition });
      });
    });
    Promise.all(claims).then(() => {
      poll.filling = false;
      // What is hinted still, or was since, is claimed too.
      if (!failed && poll.asksOn && this.#startClaims(poll)) return;
      poll.filled();
      this.#want(poll);
      // After a fault of the store the next claim waits.
      if (failed) this.#clock.after(claimRetryMs, () => this.fill(poll));
      // What was hinted meanwhile is for others that wait.
      else {
        for (const queue of this.#queuesOf(poll)) {
          if (this.#hints.has(queue)) this.#wake(queue, poll);
        }
      }
    });
    return true;
  }

  /** The queues to claim: where none of those for JSON holds anything, the ones that it names. */
  #queuesOf(poll: Poll, { jsonFirst } = { jsonFirst: false }): readonly string[] {
    const { jsonQueues } = this.#hints;
    if (jsonQueues.size === 0 || poll.structOnly) return poll.queues;
    const own = [...jsonQueues].filter((queue) => poll.takes(queue));
    return jsonFirst ? [...own, ...poll.queues] : [...poll.queues, ...own];
  }

  #hintedPartitions(poll: Poll, most: number): number[] {
    const found = new Set<number>();
    for (const queue of this.#queuesOf(poll)) {
      for (const partition of this.#hints.partitions(queue)) {
        found.add(partition);
        if (found.size >= most) return [...found];
      }
    }
    return [...found];
  }

  async #claim(poll: Poll, partition: number, limit: number): Promise<void> {
    const nonce = this.#ids.nonce();
    // Left to chance, so that neither those for JSON starve nor the others.
    const jsonFirst = nonce.charCodeAt(0) % 2 === 0;
    const isHinted = (queue: string) => this.#hints.since(queue, partition) !== undefined;
    const queues = this.#queuesOf(poll, { jsonFirst }).filter(isHinted);
    const now = this.#clock.now();
    // Before the claim: what is added while it is under way must be hinted anew.
    for (const queue of queues) this.#hints.remove(queue, partition);
    poll.reserved += limit;
    try {
      const request = {
        partition,
        queues: queues.map((name) => ({ name, limit })),
        limit,
        tokenPrefix: tokenPrefix(now, nonce),
        workerId: poll.workerId,
        heartbeatMs: poll.heartbeatMs,
        now,
      };
      const answer = await this.#store.claimTasks(request).catch((error) => {
        if (!(error instanceof StoreFault) || error.outcome !== "unknown") throw error;
        return this.#giveBack.claimAgain(request).catch((failure) => {
          this.#giveBack.claim(request, (queue) => this.hint(partition, queue));
          throw failure;
        });
      });
      poll.reserved -= limit;
      this.#sizes.note(answer.tasks);
      for (const task of answer.tasks) {
        this.#onDue(partition, task.leaseUntil);
        this.#place(poll, task);
      }
      for (const queue of answer.more) this.hint(partition, queue);
    } catch (error) {
      poll.reserved -= limit;
      // The hints come back, without a new claim at once.
      for (const queue of queues) this.#hints.renew(queue, partition, this.#clock.now());
      throw error;
    }
  }
}
