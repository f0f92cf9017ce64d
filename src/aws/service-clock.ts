/**
 * How far the clock of a service is ahead of this machine's, from the header Date of its responses.
 * It has whole seconds: each response leaves a range, and the offset is in all of them. A clock that
 * agrees with them is left as it is.
 */
export class ServiceClock {
  #low = Number.NEGATIVE_INFINITY;
  #high = Number.POSITIVE_INFINITY;

  /** Whole milliseconds, to be added to what this machine's clock says. */
  get offset(): number {
    return Math.round(Math.min(Math.max(0, this.#low), this.#high));
  }

  /** Between `sentAt` and `receivedAt` of this machine's clock the service showed this date. */
  note(date: string, sentAt: number, receivedAt: number): void {
    const second = Date.parse(date);
    // A clock that was set in between measures nothing.
    if (Number.isNaN(second) || receivedAt < sentAt) return;
    const low = second - receivedAt;
    const high = second + 1_000 - sentAt;
    const agrees = low <= this.#high && high >= this.#low;
    this.#low = agrees ? Math.max(low, this.#low) : low;
    this.#high = agrees ? Math.min(high, this.#high) : high;
  }
}
