/**
 * Calls of one turn of the event loop that go out as one script. The batch is no transaction: each
 * entry is checked and applied for itself, and after a lost reply each one's outcome is unknown.
 */
import { StoreFault } from "../store.ts";
import { callKeys } from "./keys.ts";
import type { Argument } from "./link.ts";
import type { Call } from "./requests.ts";

/** Longer scripts would make others wait; larger ones as well. */
const entriesMax = 64;
const sizeMax = 1024 * 1024;

/** A number: it was committed. */
export type EntryAnswer = number | readonly [outcome: string, ...details: unknown[]];

interface Waiting<Request> {
  readonly request: Request;
  readonly base: string;
  readonly resolve: (answer: EntryAnswer) => void;
  readonly reject: (error: unknown) => void;
}

export interface BatchOptions<Request> {
  readonly encode: (request: Request, base: string, call: Call) => Buffer;
  readonly call: (keys: readonly string[], args: readonly Argument[]) => Promise<unknown>;
  /** The caller's clock is wrong. */
  readonly onSkewed: () => void;
  /** Cluster: one call touches one partition only. */
  readonly onePartition: boolean;
}

export class Batch<Request> {
  readonly #options: BatchOptions<Request>;
  readonly #groups = new Map<string, Waiting<Request>[]>();
  #isScheduled = false;

  constructor(options: BatchOptions<Request>) {
    this.#options = options;
  }

  submit(base: string, request: Request): Promise<EntryAnswer> {
    return new Promise((resolve, reject) => {
      const group = this.#options.onePartition ? base : "";
      const waiting = this.#groups.get(group);
      const one = { request, base, resolve, reject };
      if (waiting === undefined) this.#groups.set(group, [one]);
      else waiting.push(one);
      if (this.#isScheduled) return;
      this.#isScheduled = true;
      setImmediate(() => this.flush());
    });
  }

  flush(): void {
    this.#isScheduled = false;
    for (const waiting of this.#groups.values()) {
      for (let first = 0; first < waiting.length; ) first += this.#send(waiting, first);
    }
    this.#groups.clear();
  }

  /** Sends as many as one call may carry; answers how many. */
  #send(waiting: readonly Waiting<Request>[], first: number): number {
    const call: Call = { bases: [], places: [], fields: [] };
    const entries: Buffer[] = [];
    let size = 0;
    while (entries.length < entriesMax && size < sizeMax) {
      const one = waiting[first + entries.length];
      if (one === undefined) break;
      const known = call.fields.length;
      const entry = this.#options.encode(one.request, one.base, call);
      size += entry.length;
      for (let i = known; i < call.fields.length; i++) size += (call.fields[i] as string).length;
      entries.push(entry);
    }
    const sent = waiting.slice(first, first + entries.length);
    const { bases, fields } = call;
    const { onePartition } = this.#options;
    const keys = onePartition ? callKeys(bases[0] as string) : bases;
    const places = keys.map((_, i) => call.places[i] ?? 0);
    const args = [`${entries.length}`, ...places, ...entries, ...fields];
    this.#options.call(keys, args).then(
      (answers) => this.#settle(sent, answers as readonly EntryAnswer[]),
      (error) => {
        for (const one of sent) one.reject(error);
      },
    );
    return entries.length;
  }

  #settle(sent: readonly Waiting<Request>[], answers: readonly EntryAnswer[]): void {
    for (const [i, one] of sent.entries()) {
      const answer = answers[i] as EntryAnswer;
      const fault = faultIn(answer);
      if (fault === undefined) one.resolve(answer);
      else one.reject(fault);
      if (fault?.outcome === "not_applied") this.#options.onSkewed();
    }
  }
}

/** What went wrong with one entry alone. */
function faultIn(answer: EntryAnswer): StoreFault | undefined {
  if (typeof answer === "number") return undefined;
  const [outcome, detail] = answer;
  if (outcome === "failed") {
    return new StoreFault("unknown", `A script failed in Redis: ${detail}`);
  }
  if (outcome === "skewed") {
    return new StoreFault(
      "not_applied",
      "The clock of this server is more than a second off the store's; it is measured again.",
    );
  }
  return undefined;
}
