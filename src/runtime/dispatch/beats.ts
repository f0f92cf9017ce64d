/**
 * What workers last said of the attempts they hold. It is kept in the memory of the server that
 * heard it, and bounded: to write every heartbeat down would cost more than it is worth.
 */
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import type { JsonText } from "../../model/json.ts";

interface Beat {
  readonly at: number;
  readonly progress?: JsonText;
}

/** What an entry takes besides its texts. */
const entryBytes = 200;

export class Beats {
  /** By token; the longest silent first. */
  readonly #beats = new Map<string, Beat>();
  #bytes = 0;

  /** A beat without progress leaves what was said before. */
  note(token: string, at: number, said: JsonText | undefined): void {
    const progress = said ?? this.#beats.get(token)?.progress;
    this.#drop(token);
    const beat = { at, ...defined({ progress }) };
    this.#beats.set(token, beat);
    this.#bytes += bytesOf(token, beat);
    while (this.#bytes > limits.beatsBytesMax) this.#drop(this.#beats.keys().next().value!);
  }

  of(token: string): Beat | undefined {
    return this.#beats.get(token);
  }

  /** Whether one of these came later than this. */
  hasSince(from: number, fits: (token: string) => boolean): boolean {
    for (const [token, { at }] of this.#beats) if (at > from && fits(token)) return true;
    return false;
  }

  #drop(token: string): void {
    const beat = this.#beats.get(token);
    if (beat === undefined) return;
    this.#beats.delete(token);
    this.#bytes -= bytesOf(token, beat);
  }
}

function bytesOf(token: string, { progress = "" }: Beat): number {
  return entryBytes + token.length + 2 * progress.length;
}
