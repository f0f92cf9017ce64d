/**
 * Group commit: the changes that gather while others are under way go together, as one call in one
 * transaction. They are sent in order of execution id, in which all servers lock executions.
 */
import { type Clock, pause } from "../../base/clock.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import { isDisturbed, isOfOneEntry, toFault } from "./faults.ts";
import type { PostgresLink } from "./link.ts";

/** One that is larger goes alone. */
const callCharsMax = 1024 * 1024;
const entriesMax = 64;

/** Calls under way at once: while they are, others gather. */
const callsMax = 3;

/** Repeats of a call that another transaction was in the way of. */
const repeatsMax = 3;
const repeatMs = 5;

type OfExecution = "commit" | "settle" | "create" | "remove";
type OfTask = "extend" | "release" | "ticket" | "ack";

/** One branch of the function `change` in migrations/5-tickets.sql. */
export interface Change {
  readonly do: OfExecution | OfTask;
  readonly key: ExecutionKey;
}

interface Entry {
  readonly id: string;
  readonly text: string;
  resolve(answer: unknown): void;
  reject(error: unknown): void;
}

export class Changes {
  readonly #link: PostgresLink;
  readonly #clock: Clock;
  #waiting: Entry[] = [];
  #underWay = 0;
  #isAwaited = false;

  constructor(link: PostgresLink, clock: Clock) {
    this.#link = link;
    this.#clock = clock;
  }

  submit<Answer>(change: Change): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      const entry = { id: change.key.id, text: JSON.stringify(change), resolve, reject };
      this.#waiting.push(entry as Entry);
      this.#await();
    });
  }

  /** What else comes in this turn goes along. */
  #await(): void {
    if (this.#isAwaited || this.#underWay >= callsMax) return;
    this.#isAwaited = true;
    setImmediate(() => {
      this.#isAwaited = false;
      while (this.#waiting.length > 0 && this.#underWay < callsMax) void this.#send(this.#next());
    });
  }

  #next(): Entry[] {
    let chars = 0;
    let count = 0;
    for (const { text } of this.#waiting) {
      chars += text.length;
      if (count > 0 && (chars > callCharsMax || count === entriesMax)) break;
      count++;
    }
    const entries = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    return entries.sort((a, b) => (a.id === b.id ? 0 : a.id < b.id ? -1 : 1));
  }

  async #send(entries: readonly Entry[]): Promise<void> {
    this.#underWay++;
    await this.#run(entries);
    this.#underWay--;
    if (this.#waiting.length > 0) this.#await();
  }

  async #run(entries: readonly Entry[], repeats = 0): Promise<void> {
    try {
      const texts = entries.map(({ text }) => text);
      const answers = await this.#link.call<readonly unknown[]>("change", `[${texts.join(",")}]`);
      for (const [i, { resolve }] of entries.entries()) resolve(answers[i]);
    } catch (error) {
      if (isDisturbed(error) && repeats < repeatsMax) {
        await pause(repeatMs << repeats, this.#clock);
        await this.#run(entries, repeats + 1);
      } else if (entries.length > 1 && isOfOneEntry(error)) {
        for (const entry of entries) await this.#run([entry]);
      } else {
        for (const { reject } of entries) reject(toFault(error));
      }
    }
  }
}
