/** Bounds how many are at something at once; the others wait in order. */
import { OrchyError } from "../../base/errors.ts";

export class Gate {
  readonly #max: number;
  #inside = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** Throws OrchyError UNAVAILABLE, without doing the work, for who is gone when their turn comes. */
  async pass<T>(work: () => Promise<T>, abort?: AbortSignal): Promise<T> {
    if (this.#inside < this.#max) this.#inside += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      if (abort?.aborted) throw new OrchyError("UNAVAILABLE", "The caller has disconnected.");
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#inside -= 1;
      else next();
    }
  }
}
