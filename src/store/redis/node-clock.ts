/**
 * How far the clocks of Redis are ahead of this process's, and how slow the link to it is: measured by
 * TIME, the answer with the smallest round trip counting, again every ten seconds and whenever a script
 * complains.
 */
import type { Redis } from "ioredis";
import type { Clock } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import type { Logger } from "../../telemetry/log.ts";
import { type ClockOffset, measureMs, measureOffset } from "../kit/clock-offset.ts";

/** Operators hear of nodes that are further off the others: before their scripts refuse every now. */
const apartMsMax = limits.clockSkewMsMax / 2;
/** Half of it is on the way there, by which a call is too old for the scripts. */
const roundTripMsMax = 2 * limits.clockSkewMsMax;
const slowMsMin = limits.clockSkewMsMax / 2;

interface Measured extends ClockOffset {
  readonly node: Redis;
}

async function measure(node: Redis, clock: Clock): Promise<Measured> {
  const read = async () => {
    const [seconds, microseconds] = await node.time();
    return Number(seconds) * 1_000 + Number(microseconds) / 1_000;
  };
  return { node, ...(await measureOffset(read, clock)) };
}

export class NodeClock {
  readonly #masters: () => readonly Redis[];
  readonly #clock: Clock;
  readonly #log: Logger | undefined;
  #offset = 0;
  #complaint: string | undefined;
  #slowest: Measured | undefined;
  #isSlow = false;
  #measuring: Promise<void> | undefined;
  #cancel: (() => void) | undefined;
  #isClosed = false;

  constructor(masters: () => readonly Redis[], clock: Clock, log?: Logger) {
    this.#masters = masters;
    this.#clock = clock;
    this.#log = log;
  }

  /** That the clocks of nodes are too far apart, or the link is slow, in a sentence each. */
  get complaint(): string | undefined {
    const slow = this.#isSlow && this.#slowest ? slowText(this.#slowest) : undefined;
    return [this.#complaint, slow].filter((one) => one !== undefined).join(" ") || undefined;
  }

  /** Why nothing can be done over the link, in a sentence; undefined: it is fast enough. */
  get objection(): string | undefined {
    const slowest = this.#slowest;
    return slowest && slowest.roundTrip >= roundTripMsMax ? slowText(slowest) : undefined;
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
      this.#judgeLink(measured);
    }
    if (this.#isClosed) return;
    this.#cancel = this.#clock.after(measureMs, () => void this.measure());
  }

  /** `measured`: by offset. `isWhole`: all have answered, so none that was off is missing. */
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

  #judgeLink(measured: readonly Measured[]): void {
    const slowest = measured.reduce((a, b) => (b.roundTrip > a.roundTrip ? b : a));
    this.#slowest = slowest;
    const isSlow = slowest.roundTrip >= slowMsMin;
    if (isSlow && !this.#isSlow) this.#log?.warn(slowText(slowest));
    if (!isSlow && this.#isSlow) this.#log?.warn("The link to Redis is fast enough again.");
    this.#isSlow = isSlow;
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }
}

function slowText({ node, roundTrip }: Measured): string {
  const { host, port } = node.options;
  return (
    `The link to Redis at ${host}:${port} is slow: a round trip takes ${Math.round(roundTrip)} ms; ` +
    `from ${roundTripMsMax} ms on nothing goes on there. Run the servers nearer to it.`
  );
}

function complaintOf({ node, offset }: Measured, middle: number): string {
  const { host, port } = node.options;
  const ms = Math.round(Math.abs(offset - middle));
  return (
    `The clock of Redis at ${host}:${port} is ${ms} ms ${offset > middle ? "ahead of" : "behind"} ` +
    `the others'; beyond ${limits.clockSkewMsMax} ms nothing goes on there. Set it right.`
  );
}
