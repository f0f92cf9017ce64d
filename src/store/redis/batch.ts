/**
 * Calls that go out as one script: those of one turn of the event loop, and those that come while an
 * earlier one is under way. A batch is no transaction: each entry is checked and applied alone,
 * and after a lost reply the outcome of each one is unknown.
 */
import type { Clock } from "../../base/clock.ts";
import { StoreFault } from "../store.ts";
import { skewedFault } from "./faults.ts";
import { callKeys } from "./keys.ts";
import type { Call } from "./requests.ts";
import { ArgumentWriter, type Written } from "./resp.ts";

/** Longer scripts would make others wait; larger ones as well. */
const entriesMax = 64;
const sizeMax = 1024 * 1024;
/** While a call is under way another one goes out when this many have gathered. */
const gatheredMin = 32;

/** A number: it was done. */
export type EntryAnswer = number | readonly [outcome: string, ...details: unknown[]];

/** A number: all were done. */
type BatchAnswer = number | readonly EntryAnswer[];

interface Waiting<Request> {
  readonly request: Request;
  readonly base: string;
  readonly resolve: (answer: EntryAnswer) => void;
  readonly reject: (error: unknown) => void;
}

interface BatchOptions<Request> {
  /** Writes its entry and its fields. */
  readonly encode: (request: Request, base: string, call: Call) => void;
  /** With the numbers first, and then what was written. */
  readonly call: (
    keys: readonly string[],
    numbers: readonly number[],
    written: readonly Written[],
  ) => Promise<unknown>;
  /** The caller's clock is wrong, or the link is slow. */
  readonly onSkewed: () => void;
  readonly clock: Clock;
  /** Cluster: one call touches one partition only. */
  readonly onePartition: boolean;
}

/** Requests that go out together: all of them, or on a cluster those of one partition. */
interface Group<Request> {
  readonly waiting: Waiting<Request>[];
  /** Since when the first of them waits, or the latest call left some: read for each call only. */
  waitingSince: number;
  callsUnderWay: number;
  /** The latest call failed: what waits is to hear of it soon, too. */
  isInTrouble: boolean;
}

export class Batch<Request> {
  readonly #options: BatchOptions<Request>;
  readonly #groups = new Map<string, Group<Request>>();
  readonly #entries = new ArgumentWriter();
  readonly #fields = new ArgumentWriter();
  #isScheduled = false;

  constructor(options: BatchOptions<Request>) {
    this.#options = options;
  }

  submit(base: string, request: Request): Promise<EntryAnswer> {
    return new Promise((resolve, reject) => {
      const name = this.#options.onePartition ? base : "";
      let group = this.#groups.get(name);
      if (group === undefined) {
        group = { waiting: [], waitingSince: 0, callsUnderWay: 0, isInTrouble: false };
        this.#groups.set(name, group);
      }
      if (group.waiting.length === 0) group.waitingSince = this.#options.clock.now();
      group.waiting.push({ request, base, resolve, reject });
      // A full one goes at once: Redis works on it while this turn makes the next.
      if (group.waiting.length >= entriesMax) this.#flush(group);
      else this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      for (const group of this.#groups.values()) this.#flush(group);
    });
  }

  #flush(group: Group<Request>): void {
    const { waiting } = group;
    while (waiting.length > 0) {
      const isTime = group.callsUnderWay === 0 || waiting.length >= gatheredMin;
      if (!isTime && !group.isInTrouble) return;
      group.callsUnderWay += 1;
      this.#send(group).finally(() => {
        group.callsUnderWay -= 1;
        if (waiting.length > 0) this.#schedule();
      });
    }
  }

  /** Sends as many as one call may carry. */
  async #send(group: Group<Request>): Promise<void> {
    const { waiting } = group;
    const [entries, fields] = [this.#entries, this.#fields];
    const call: Call = { bases: [], places: [], entries, fields };
    while (entries.count < entriesMax && entries.size + fields.size < sizeMax) {
      const one = waiting[entries.count];
      if (one === undefined) break;
      try {
        this.#options.encode(one.request, one.base, call);
      } catch (error) {
        // Half of it may be written: the others are written anew, without it.
        waiting.splice(waiting.indexOf(one), 1);
        for (const writer of [entries, fields]) writer.take();
        one.reject(error);
        return;
      }
    }
    const sent = waiting.splice(0, entries.count);
    const madeAt = group.waitingSince;
    if (waiting.length > 0) group.waitingSince = this.#options.clock.now();
    const keys = this.#options.onePartition ? callKeys(call.bases[0] as string) : call.bases;
    const numbers = [sent.length, ...keys.map((_, i) => call.places[i] ?? 0)];
    const written = [entries.take(), fields.take()];
    try {
      const answers = await this.#options.call(keys, numbers, written);
      this.#settle(sent, answers as BatchAnswer, madeAt);
      group.isInTrouble = false;
    } catch (error) {
      group.isInTrouble = true;
      for (const one of sent) one.reject(error);
    }
  }

  #settle(sent: readonly Waiting<Request>[], answers: BatchAnswer, madeAt: number): void {
    if (typeof answers === "number") {
      for (const one of sent) one.resolve(answers);
      return;
    }
    const now = this.#options.clock.now();
    for (const [i, one] of sent.entries()) {
      const answer = answers[i] as EntryAnswer;
      const fault = faultIn(answer, now - madeAt);
      if (fault === undefined) one.resolve(answer);
      else one.reject(fault);
      if (fault?.outcome === "not_applied") this.#options.onSkewed();
    }
  }
}

/** What went wrong with one entry alone. */
function faultIn(answer: EntryAnswer, tookMs: number): StoreFault | undefined {
  if (typeof answer === "number") return undefined;
  const [outcome, detail] = answer;
  if (outcome === "failed") {
    return new StoreFault("unknown", `A script failed in Redis: ${detail}`);
  }
  return outcome === "skewed" ? skewedFault(tookMs) : undefined;
}
