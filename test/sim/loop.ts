/**
 * The simulated event loop: one thread, one time, one source of chance. Callbacks run in order of
 * their moment; between two of them everything that the first one resolved runs to its end. Time
 * passes only by going on to the next moment, so a simulated hour costs what happens in it.
 */
import { Heap } from "../../src/store/memory/heap.ts";
import { Chance } from "../support/chance.ts";

interface Entry {
  readonly at: number;
  readonly sequence: number;
  readonly callback: () => void;
}

const startsAt = 1_700_000_000_000;
const keptEvents = 60;

export class Loop {
  readonly seed: number;
  readonly chance: Chance;
  now = startsAt;
  /** What was found to be wrong first: the simulation ends there. */
  violation: string | undefined;
  /** Of everything noted so far: two runs of one seed end with the same. */
  fingerprint = 0;
  callbacks = 0;
  /** What has happened at least once: a simulation that never gets anywhere proves nothing. */
  readonly reached = new Set<string>();
  readonly #entries = new Heap<Entry>(comesFirst);
  readonly #events: string[] = [];
  #sequence = 0;

  constructor(seed: number) {
    this.seed = seed;
    this.chance = new Chance(seed);
  }

  /** Milliseconds since the beginning. */
  get elapsed(): number {
    return this.now - startsAt;
  }

  /** Calls back after this many milliseconds; returns a cancel. */
  in(ms: number, callback: () => void): () => void {
    this.#sequence += 1;
    const entry = { at: this.now + Math.max(0, ms), sequence: this.#sequence, callback };
    this.#entries.add(entry);
    return () => this.#entries.delete(entry);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.in(ms, resolve));
  }

  /** Runs what is due until the work is done; throws when that never will be. */
  async run(work: Promise<void>): Promise<void> {
    let done = false;
    work.then(
      () => {
        done = true;
      },
      (error) => this.violate(`the simulation itself broke: ${error?.stack ?? error}`),
    );
    await turn();
    while (!done && this.violation === undefined) {
      const next = this.#entries.first();
      if (next === undefined) return this.violate("nothing is due any more, and nothing is done");
      this.#entries.delete(next);
      this.now = Math.max(this.now, next.at);
      this.callbacks += 1;
      next.callback();
      await turn();
    }
  }

  /** Something happened; the last ones are shown when the simulation fails. */
  note(event: string): void {
    for (let index = 0; index < event.length; index++) {
      this.fingerprint = Math.imul(this.fingerprint ^ event.charCodeAt(index), 0x01000193);
    }
    this.fingerprint ^= this.elapsed;
    this.#events.push(`${(this.elapsed / 1000).toFixed(3).padStart(9)}  ${event}`);
    if (this.#events.length >= 2 * keptEvents) this.#events.splice(0, keptEvents);
  }

  get lastEvents(): readonly string[] {
    return this.#events.slice(-keptEvents);
  }

  violate(sentence: string): void {
    if (this.violation !== undefined) return;
    this.violation = sentence;
    this.note("a promise is broken");
  }
}

function comesFirst(a: Entry, b: Entry): boolean {
  return a.at === b.at ? a.sequence < b.sequence : a.at < b.at;
}

/** Lets every promise that can go on go on: what was resolved runs before the next callback. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
