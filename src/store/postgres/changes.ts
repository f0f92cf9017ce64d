/**
 * Group commit: the changes that gather while others are under way go together, as one call in one
 * transaction, whose statements are for all of them.
 */
import { type Clock, pause } from "../../base/clock.ts";
import { isDisturbed, isOfOneEntry, toFault } from "./faults.ts";
import type { PostgresLink } from "./link.ts";
import type { Change } from "./requests.ts";

/** One that is larger goes alone. */
const callCharsMax = 1024 * 1024;
const entriesMax = 64;

/** Calls under way at once: while they are, others gather. */
const callsMax = 3;

/** Repeats of a call that another transaction was in the way of. */
const repeatsMax = 3;
const repeatMs = 5;

/** What changes the head: one call takes one of an execution. */
const ofHead: readonly Change["do"][] = ["commit", "create", "remove"];

interface Entry {
  /** Id of the execution, where the change is of its head. */
  readonly head: string | undefined;
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

  /** Null: done as asked; "missing": the execution does not exist. */
  submit<Answer>(change: Change): Promise<Answer | null | "missing"> {
    return new Promise<Answer | null | "missing">((resolve, reject) => {
      const head = ofHead.includes(change.do) ? change.execution : undefined;
      const entry = { head, text: JSON.stringify(change), resolve, reject };
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
    const entries: Entry[] = [];
    const left: Entry[] = [];
    const heads = new Set<string>();
    for (const entry of this.#waiting) {
      const { head, text } = entry;
      const isFull =
        entries.length === entriesMax ||
        (entries.length > 0 && chars + text.length > callCharsMax) ||
        (head !== undefined && heads.has(head));
      if (isFull) left.push(entry);
      else {
        entries.push(entry);
        chars += text.length;
        if (head !== undefined) heads.add(head);
      }
    }
    this.#waiting = left;
    return entries;
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
