/** How far the clock of PostgreSQL is ahead of this process's, measured again every ten seconds. */
import type { Clock } from "../../base/clock.ts";
import { measureMs, measureOffset } from "../kit/clock-offset.ts";
import type { PostgresLink } from "./link.ts";

export class NodeClock {
  readonly #link: PostgresLink;
  readonly #clock: Clock;
  #offset = 0;
  #cancel: (() => void) | undefined;
  #isClosed = false;

  constructor(link: PostgresLink, clock: Clock) {
    this.#link = link;
    this.#clock = clock;
  }

  /** Whole milliseconds, to be added to what this process's clock says. */
  get offset(): number {
    return this.#offset;
  }

  /** Throws what the client throws. */
  async measure(): Promise<void> {
    const read = async () => {
      const [row] = await this.#link.query<{ readonly ms: string }>(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::text AS ms",
      );
      return Number(row!.ms);
    };
    const { offset, roundTrip } = await measureOffset(read, this.#clock);
    if (Number.isFinite(roundTrip)) this.#offset = Math.round(offset);
  }

  /** A failure leaves the old offset. */
  keepMeasuring(): void {
    if (this.#isClosed) return;
    this.#cancel = this.#clock.after(measureMs, () => {
      this.measure()
        .catch(() => {})
        .finally(() => this.keepMeasuring());
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }
}
