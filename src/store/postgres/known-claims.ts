/** Which claims were made before: a repeat is given what is still under it. */
import { BoundedMap } from "../../base/bounded-map.ts";
import { claimsKept } from "../kit/claims.ts";
import { faultOutcome } from "../store.ts";

/**
 * By name. Who repeats a claim is the process that made it, so memory is enough. A new claim then
 * needs no look for what is under it.
 */
export class KnownClaims {
  readonly #given = new BoundedMap<string, readonly string[]>(claimsKept);

  /**
   * Remembers what the claim gave, in its order, or that it may have given something; `earlier`:
   * what was remembered of the same claim.
   */
  async run<Answer>(
    name: string,
    claim: (earlier: readonly string[] | undefined) => Promise<Answer>,
    given: (answer: Answer) => readonly string[],
  ): Promise<Answer> {
    const earlier = this.#given.get(name);
    try {
      const answer = await claim(earlier);
      const ids = given(answer);
      if (ids.length > 0 && earlier === undefined) this.#given.set(name, ids);
      return answer;
    } catch (error) {
      if (faultOutcome(error) !== "not_applied") this.#given.set(name, earlier ?? []);
      throw error;
    }
  }
}
