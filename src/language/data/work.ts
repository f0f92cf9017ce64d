/**
 * What an action may read of its execution's data, counted and not timed, so that it comes out alike
 * on every machine: one step for each character that is read, and some for each value that is
 * looked at. Reading any one payload once, whatever is in it, stays far below the bound.
 */
import { limits } from "../../base/limits.ts";
import type { JsonText } from "../../model/json.ts";
import { cut } from "./cut.ts";

/** Thrown by what reads data, caught where an action starts: it fails with TOO_LARGE. */
export class TooLarge extends Error {
  override readonly name = "TooLarge";
}

const pathCharsShown = 200;

/** Looking at a value takes about as much time as reading this many characters. */
const stepsPerValue = 8;

export class Work {
  /** Path of the reference that is being resolved. */
  reading = "";
  #spent = 0;
  #until: number;
  #max: number = limits.actionWorkMax;

  constructor(max: number = limits.actionWorkMax) {
    this.#max = max;
    this.#until = max;
  }

  get spent(): number {
    return this.#spent;
  }

  /** From now on another action reads. */
  beginAction(): void {
    this.#until = this.#spent + this.#max;
  }

  readText(text: JsonText): void {
    this.#spend(text.length);
  }

  lookAt(values: number): void {
    this.#spend(values * stepsPerValue);
  }

  #spend(steps: number): void {
    this.#spent += steps;
    if (this.#spent > this.#until) {
      this.tooLarge(
        `reads more of the data than one action may: at most ${this.#max} steps are allowed, one for each character and ${stepsPerValue} for each value`,
      );
    }
  }

  tooLarge(what: string): never {
    throw new TooLarge(`${JSON.stringify(cut(this.reading, pathCharsShown))} ${what}.`);
  }
}
