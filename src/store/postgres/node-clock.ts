/** How far the clock of PostgreSQL is ahead of this process's, measured again every ten seconds. */
import type { Clock } from "../../base/clock.ts";
import type { PostgresLink } from "./link.ts";

const measureMs = 10_000;
const samples = 5;

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

  /** The smallest round trip counts; throws what the client throws. */
  async measure(): Promise<void> {
    let shortest = Number.POSITIVE_INFINITY;
    let offset = this.#offset;
    for (let i = 0; i < samples; i++) {
      const before = this.#clock.now();
      const [row] = await this.#link.query<{ readonly ms: string }>(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::text AS ms",
      );
      const roundTrip = this.#clock.now() - before;
      // Negative: this process's clock was set back in between.
      if (roundTrip < 0 || roundTrip >= shortest) continue;
      shortest = roundTrip;
      offset = Number(row!.ms) - before - roundTrip / 2;
    }
    this.#offset = Math.round(offset);
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
