/**
 * How far the clocks of Redis are ahead of this process's: measured by TIME, the answer with the
 * smallest round trip counting most, again every ten seconds and whenever a script complains.
 */
import type { Redis } from "ioredis";
import type { Clock } from "../../clock.ts";
import { limits } from "../../limits.ts";
import type { Logger } from "../../log.ts";

const measureMs = 10_000;
const samples = 5;
/** Operators hear of nodes that are further off the others: before their scripts refuse every now. */
const apartMsMax = limits.clockSkewMsMax / 2;

interface Measured {
  readonly node: Redis;
  readonly offset: number;
}

async function measure(node: Redis, clock: Clock): Promise<Measured> {
  let best = { offset: 0, roundTrip: Number.POSITIVE_INFINITY };
  for (let i = 0; i < samples; i++) {
    const before = clock.now();
    const [seconds, microseconds] = await node.time();
    const roundTrip = clock.now() - before;
    const time = Number(seconds) * 1_000 + Number(microseconds) / 1_000;
    // Negative: this process's clock was set back in between.
    if (roundTrip >= 0 && roundTrip < best.roundTrip)
      best = { offset: time - before - roundTrip / 2, roundTrip };
  }
  return { node, offset: best.offset };
}

export class NodeClock {
  readonly #masters: () => readonly Redis[];
  readonly #clock: Clock;
  readonly #log: Logger | undefined;
  #offset = 0;
  #complaint: string | undefined;
  #measuring: Promise<void> | undefined;
  #cancel: (() => void) | undefined;
  #isClosed = false;

  constructor(masters: () => readonly Redis[], clock: Clock, log?: Logger) {
    this.#masters = masters;
    this.#clock = clock;
    this.#log = log;
  }

  /** That the clocks of nodes are too far apart, as a sentence. */
  get complaint(): string | undefined {
    return this.#complaint;
  }

  /** Whole milliseconds, to be added to what this process's clock says. */
  get offset(): number {
    return this.#offset;
  }

  /** Once for those who ask at the same time; a failure leaves the old offset. */
  measure(): Promise<void> {
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = undefined;
    });
    return this.#measuring;
  }

  async #measure(): Promise<void> {
    this.#cancel?.();
    const answers = await Promise.allSettled(
      this.#masters().map((node) => measure(node, this.#clock)),
    );
    const measured = answers
      .flatMap((one) => (one.status === "fulfilled" ? [one.value] : []))
      .sort((a, b) => a.offset - b.offset);
    // Of several nodes the one in the middle: scripts forgive each a second.
    const middle = measured[measured.length >> 1]?.offset;
    if (middle !== undefined) {
      this.#offset = Math.round(middle);
      this.#compare(measured, middle, measured.length === answers.length);
    }
    if (this.#isClosed) return;
    this.#cancel = this.#clock.after(measureMs, () => void this.measure());
  }

  /** In the order of their offsets. `isWhole`: all have answered; else the one that was told of may be among those that did not. */
  #compare(measured: readonly Measured[], middle: number, isWhole: boolean): void {
    const off = ({ offset }: Measured) => Math.abs(offset - middle);
    const [first, last] = [measured[0] as Measured, measured.at(-1) as Measured];
    const worst = off(last) > off(first) ? last : first;
    const complaint = off(worst) > apartMsMax ? complaintOf(worst, middle) : undefined;
    if (complaint === undefined && !isWhole) return;
    const before = this.#complaint;
    this.#complaint = complaint;
    if (complaint !== undefined && before === undefined) this.#log?.warn(complaint);
    if (complaint === undefined && before !== undefined) {
      this.#log?.warn("The clocks of Redis agree again.");
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }
}

function complaintOf({ node, offset }: Measured, middle: number): string {
  const { host, port } = node.options;
  const ms = Math.round(Math.abs(offset - middle));
  return (
    `The clock of Redis at ${host}:${port} is ${ms} ms ${offset > middle ? "ahead of" : "behind"} ` +
    `the others'; beyond ${limits.clockSkewMsMax} ms nothing goes on there. Set it right.`
  );
}
