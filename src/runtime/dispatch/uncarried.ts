/**
 * Tasks that fit no `google.protobuf.Struct` (jsonQueueKey) while only polls for Struct come: they
 * are left for a poll that takes JSON, reported after limits.unpolledMs without one, and fail after
 * limits.uncarriedMs. The time counts for a queue as a whole, and only if a poll came that could
 * not take what waits: without any poll it waits as all tasks do. A worker that takes JSON and is
 * busy counts as one that polls.
 *
 * Where servers share the store, each one sends the others with its beats the queues that it
 * `wants` taken, and which of those that others want are taken by workers that it `sees`. Of
 * several that want the same one, the first by its id reports and fails.
 */

import { inBytes } from "../../base/amount.ts";
import { BoundedMap } from "../../base/bounded-map.ts";
import type { Clock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { isTooDeep } from "../../base/json-shape.ts";
import { limits } from "../../base/limits.ts";
import type { TaskOutcome } from "../../model/event.ts";
import { jsonQueueKey, parseQueueKey, plainQueueKey } from "../../model/ids.ts";
import { readHeader } from "../../model/task-header.ts";
import type { LeasedTask, Store } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Standstill } from "../peers/standstill.ts";
import type { ResultAnswerType, ServerBeat } from "../shared/orchestrator.ts";
import { Rounds } from "../shared/rounds.ts";
import type { Dispatcher } from "./dispatcher.ts";

import { type Waiting, waitingIn } from "./waiting.ts";

/** Tasks that no poll can carry, failed at a time. */
const uncarriedPerClaim = 100;

interface UncarriedOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly dispatcher: Dispatcher;
  readonly standstill: Standstill;
  /** When a worker that takes JSON was last there for a plain queue, polling or busy. */
  readonly takerSeenAt: (queue: string) => number;
  readonly settle: (
    results: readonly { readonly token: string; readonly outcome: TaskOutcome }[],
  ) => Promise<readonly ResultAnswerType[]>;
}

/** A queue for JSON that is hinted to hold something. */
interface Wait {
  /** Since when no poll that takes it is known. */
  since: number;
  /** When a poll last came here that could not take it, and when the first one did. */
  refusedAt: number;
  refusedFirstAt: number;
  /** When it is to be looked up in the store again. */
  lookAt: number;
  /** Claims and looks take hints away for a moment: one that misses twice is gone. */
  isHinted: boolean;
}

type Peer = Pick<ServerBeat, "id" | "wants" | "sees">;

export class Uncarried {
  readonly #options: UncarriedOptions;
  readonly #rounds: Rounds;
  readonly #waits = new Map<string, Wait>();
  /** When it was warned of which queue; the earliest first. */
  readonly #warned = new BoundedMap<string, number>(limits.unpolledQueuesMax);
  #self = "";
  #peers: readonly Peer[] = [];

  constructor(options: UncarriedOptions) {
    this.#options = options;
    this.#rounds = new Rounds({
      clock: options.clock,
      log: options.log,
      round: () => this.look().then(() => limits.unpolledLookMs),
      failedRestMs: limits.unpolledLookMs,
      failure: "tasks for JSON could not be looked at",
    });
  }

  start(): void {
    this.#rounds.start(limits.unpolledLookMs);
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** Whether what waits in a queue for JSON has had no poll that takes it for limits.unpolledMs. */
  has(queue: string): boolean {
    const wait = this.#waits.get(queue);
    if (wait === undefined || !this.#isRefused(queue, wait)) return false;
    return this.#options.clock.now() - wait.since >= limits.unpolledMs;
  }

  /**
   * Whether polls for a plain queue came, here or elsewhere, that cannot take what waits beside it.
   */
  isRefused(plainQueue: string): boolean {
    if (this.#waits.size === 0) return false;
    const queue = jsonQueueKey(plainQueue);
    const wait = this.#waits.get(queue);
    return wait !== undefined && this.#isRefused(queue, wait);
  }

  #isRefused(queue: string, wait: Wait): boolean {
    return isRefusedHere(wait) || this.#peers.some(({ wants }) => wants?.includes(queue));
  }

  polled(queues: readonly string[], structOnly: boolean): void {
    if (this.#waits.size === 0) return;
    const now = this.#options.clock.now();
    for (const queue of queues) {
      const wait = this.#waits.get(jsonQueueKey(queue));
      if (wait === undefined) continue;
      if (structOnly) refuse(wait, now);
      else wait.since = now;
    }
  }

  // What servers send each other

  beat(): Pick<ServerBeat, "wants" | "sees"> {
    const wants = [...this.#waits].flatMap(([queue, wait]) => (isRefusedHere(wait) ? queue : []));
    const after = this.#options.clock.now() - limits.unpolledMs;
    const asked = new Set(this.#peers.flatMap((peer) => peer.wants ?? []));
    const sees = [...asked].filter((queue) => this.#takenHereAt(queue) > after);
    return { ...(wants.length > 0 && { wants }), ...(sees.length > 0 && { sees }) };
  }

  heard(self: string, live: readonly Peer[]): void {
    this.#self = self;
    this.#peers = live.filter(({ id }) => id !== self);
  }

  #takenHereAt(queue: string): number {
    const { clock, dispatcher, takerSeenAt } = this.#options;
    return dispatcher.awaiting(queue).json ? clock.now() : takerSeenAt(plainQueueKey(queue));
  }

  #takenAt(queue: string): number {
    const isSeen = this.#peers.some(({ sees }) => sees?.includes(queue));
    return isSeen ? this.#options.clock.now() : this.#takenHereAt(queue);
  }

  // Looks

  async look(): Promise<void> {
    const { clock, store, dispatcher } = this.#options;
    const now = clock.now();
    const { jsonQueues } = dispatcher;
    for (const [queue, wait] of this.#waits) {
      const isHinted = jsonQueues.has(queue);
      if (!isHinted && !wait.isHinted) this.#waits.delete(queue);
      wait.isHinted = isHinted;
    }
    const askedMs = store.traits.shared ? limits.unpolledSecondMs : 0;
    const due = new Set<string>();
    for (const queue of jsonQueues) {
      const wait = this.#waitOf(queue, now);
      if (wait === undefined) continue;
      // A clock that was set back must not keep it waiting until it is where it was.
      wait.since = Math.min(now, Math.max(wait.since, this.#takenAt(queue)));
      wait.lookAt = Math.min(wait.lookAt, now + limits.unpolledSecondMs);
      if (dispatcher.awaiting(queue).structOnly) refuse(wait, now);
      const isDue = isRefusedHere(wait) && now - wait.since >= limits.unpolledMs;
      if (isDue && now >= wait.lookAt && now - wait.refusedFirstAt >= askedMs) due.add(queue);
    }
    if (due.size === 0) return;
    for (const [queue, found] of await waitingIn(this.#options, due)) {
      await this.#consider(queue, found);
    }
  }

  #waitOf(queue: string, now: number): Wait | undefined {
    let wait = this.#waits.get(queue);
    if (wait === undefined && this.#waits.size < limits.unpolledQueuesMax) {
      const never = Number.NEGATIVE_INFINITY;
      wait = { since: now, refusedAt: never, refusedFirstAt: never, lookAt: now, isHinted: true };
      this.#waits.set(queue, wait);
    }
    return wait;
  }

  async #consider(queue: string, found: Waiting): Promise<void> {
    const { clock, standstill } = this.#options;
    const wait = this.#waits.get(queue);
    const isOther = this.#peers.some(({ id, wants }) => id < this.#self && wants?.includes(queue));
    if (wait === undefined || isOther) return;
    const now = clock.now();
    this.#warn(queue, found, now);
    const oldest = now - limits.uncarriedMs;
    const isOver = wait.since <= oldest && found.oldestAt <= oldest;
    const delay = isOver ? standstill.delayOf(wait.since + limits.uncarriedMs) : undefined;
    // What polls have come meanwhile is read by then: the next look counts.
    if (delay !== undefined) return await delay;
    wait.lookAt = now + limits.unpolledSecondMs;
    if (isOver) await this.#fail(queue, wait);
  }

  /** Those that have waited for long enough; the others go back, and no attempt is burnt. */
  async #fail(queue: string, wait: Wait): Promise<void> {
    const { clock, dispatcher, settle } = this.#options;
    const { since } = wait;
    while (this.#rounds.isRunning) {
      const tasks = await this.#take(queue);
      const oldest = clock.now() - limits.uncarriedMs;
      const isOver = (task: LeasedTask) => (readHeader(task.header).offeredAt ?? 0) <= oldest;
      // Since then a poll has come that takes it.
      const failed = wait.since === since ? tasks.filter(isOver) : [];
      dispatcher.giveBack(tasks.filter((task) => !failed.includes(task)));
      if (failed.length === 0) return;
      const answers = await settle(failed.map(asFailed));
      dispatcher.giveBack(failed.filter((_, index) => answers[index] === "retry"));
      if (failed.length < tasks.length || answers.includes("retry")) return;
    }
  }

  /** Leases what is claimable in one queue now, as a poll that names exactly this one. */
  #take(queue: string): Promise<readonly LeasedTask[]> {
    const { dispatcher } = this.#options;
    const heartbeatMs = limits.heartbeatSecondsDefault * 1000;
    const terms = { workerId: "", waitMs: 0, heartbeatMs, structOnly: true };
    const poll = dispatcher.open({ queues: [queue], tasksMax: uncarriedPerClaim, ...terms });
    dispatcher.fill(poll);
    poll.startWaiting();
    return poll.answered;
  }

  #warn(queue: string, { queued, atLeast, oldestAt }: Waiting, now: number): void {
    const warnedAt = this.#warned.get(queue) ?? Number.NEGATIVE_INFINITY;
    if (now - warnedAt < limits.unpolledWarnMs) return;
    this.#warned.set(queue, now);
    this.#options.log.warn("tasks wait for a worker that takes JSON, and none polls for them", {
      ...parseQueueKey(queue),
      queued,
      ...defined({ atLeast }),
      waitingMs: now - oldestAt,
    });
  }
}

function refuse(wait: Wait, now: number): void {
  if (!isRefusedHere(wait)) wait.refusedFirstAt = now;
  wait.refusedAt = now;
}

function isRefusedHere({ refusedAt, since }: Wait): boolean {
  return refusedAt >= since;
}

function asFailed({ token, parameters }: LeasedTask) {
  return { token, outcome: unfitOutcome(parameters) };
}

/** What becomes of a task that no worker that was there can be given. */
export function unfitOutcome(parameters: string): TaskOutcome {
  const failure = isTooDeep(parameters, limits.structDepthMax)
    ? {
        code: "STRUCT_TOO_DEEP",
        message:
          `The parameters are nested deeper than ${limits.structDepthMax} levels, more than many ` +
          `clients can decode of a google.protobuf.Struct. ${remedy}`,
      }
    : {
        code: "STRUCT_TOO_LARGE",
        message:
          "As google.protobuf.Struct the parameters take more than the " +
          `${inBytes(limits.pollResponseBytesMax)} of an answer to a worker. ${remedy}`,
      };
  return { ok: false, failure, retryable: false };
}

const remedy =
  "Workers that poll for Struct, or speak the legacy wire, cannot be given it. Run one that polls " +
  "with payloadFormat PAYLOAD_FORMAT_JSON and reads parametersJson, or one that makes JSON calls.";
