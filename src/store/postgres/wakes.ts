/**
 * Wake-ups: what queues got tasks, gathered for some milliseconds and sent by a connection apart from
 * commits, as a notification inside one would make commits wait for each other. A lost one costs a sweep.
 */
import type { Clock } from "../../base/clock.ts";
import type { PostgresLink } from "./link.ts";

const gatherMs = 10;

/** Through a pooler that shares connections, what was listened for never comes. */
const provenMsMax = 2_000;

/** PostgreSQL takes 8,000 bytes. */
const payloadBytesMax = 7_900;

type Listener = (partition: number, text: string) => void;

/** [sender, queues as `partition queue`], or [null, partition, text of a note]. */
type Payload = readonly [string, readonly string[]] | readonly [null, number, string];

export class Wakes {
  readonly #link: PostgresLink;
  readonly #clock: Clock;
  readonly #channel: string;
  readonly #sender: string;
  readonly #gathered = new Set<string>();
  #isAwaited = false;
  #onProof = () => {};
  #onWake: Listener = () => {};
  #onNote: Listener = () => {};

  constructor(
    link: PostgresLink,
    options: { readonly clock: Clock; readonly channel: string; readonly sender: string },
  ) {
    this.#link = link;
    this.#clock = options.clock;
    this.#channel = options.channel;
    this.#sender = options.sender;
  }

  /** Whether notifications come through: one to itself proves it. */
  async open(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#onProof = () => resolve(true);
    const end = await this.#link.listen(this.#channel, (text) => this.#hear(text));
    const cancel = this.#clock.after(provenMsMax, () => resolve(false));
    await this.#notify([this.#sender, []]);
    const isProven = await promise;
    cancel();
    if (!isProven) await end();
    return isProven;
  }

  /** To be called after it is open. */
  listen(listener: Listener, onNote: Listener = () => {}): void {
    this.#onWake = listener;
    this.#onNote = onNote;
  }

  tell(partition: number, queue: string): void {
    this.#gathered.add(`${partition} ${queue}`);
    if (this.#isAwaited) return;
    this.#isAwaited = true;
    this.#clock.after(gatherMs, () => {
      this.#isAwaited = false;
      this.#flush();
    });
  }

  async note(partition: number, text: string): Promise<void> {
    await this.#notify([null, partition, text]);
  }

  #flush(): void {
    const names = [...this.#gathered];
    this.#gathered.clear();
    let part: string[] = [];
    let bytes = 0;
    for (const name of names) {
      const more = 3 + Buffer.byteLength(JSON.stringify(name));
      if (part.length > 0 && bytes + more > payloadBytesMax - 100) {
        this.#notify([this.#sender, part]).catch(() => {});
        part = [];
        bytes = 0;
      }
      part.push(name);
      bytes += more;
    }
    this.#notify([this.#sender, part]).catch(() => {});
  }

  async #notify(payload: Payload): Promise<void> {
    const text = JSON.stringify(payload);
    if (Buffer.byteLength(text) > payloadBytesMax) return;
    await this.#link.query("SELECT pg_notify($1, $2)", [this.#channel, text]);
  }

  #hear(text: string): void {
    const payload = JSON.parse(text) as Payload;
    if (payload[0] === null) this.#onNote(payload[1], payload[2]);
    else if (payload[0] === this.#sender) this.#onProof();
    else {
      for (const name of payload[1]) {
        const space = name.indexOf(" ");
        this.#onWake(Number(name.slice(0, space)), name.slice(space + 1));
      }
    }
  }
}
