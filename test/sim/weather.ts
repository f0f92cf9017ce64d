/**
 * How bad things are at the moment: how often calls are lost, delayed or repeated on their way. Each
 * seed has a mix of its own, as some mistakes show only where other faults are rare.
 */
import type { Chance } from "../support/chance.ts";

export interface Rates {
  /** Percent of requests, and of answers, between workers or clients and servers that are lost. */
  readonly lost: number;
  readonly duplicated: number;
  /** Percent of messages that take seconds. */
  readonly slow: number;
  /** Percent of store calls that take as long as a busy store does. */
  readonly busy: number;
  /** Percent of store calls that fail before they are applied. */
  readonly refused: number;
  /** Percent of store calls that are applied, and then fail. */
  readonly unanswered: number;
  /** Percent of store calls that something on their way repeats. */
  readonly repeated: number;
  /** Percent of store calls that fail as unknown, and were never applied. */
  readonly vanished: number;
  /** Percent of store calls that fail as unknown, and are applied some time later. */
  readonly late: number;
}

export const calm: Rates = {
  lost: 0,
  duplicated: 0,
  slow: 0,
  busy: 2,
  refused: 0,
  unanswered: 0,
  repeated: 0,
  vanished: 0,
  late: 0,
};

export class Weather {
  rates: Rates;
  /** Until then the store refuses everybody. */
  storeDownUntil = 0;
  /** Workers forget tasks, give them back, repeat themselves. */
  isRough = true;

  constructor(chance: Chance) {
    const some = (most: number) => (chance.percent(40) ? 0 : chance.below(most + 1));
    this.rates = {
      lost: some(6),
      duplicated: some(10),
      slow: some(6),
      busy: some(40),
      refused: some(6),
      unanswered: some(8),
      repeated: some(5),
      vanished: some(5),
      late: some(4),
    };
  }

  clear(): void {
    this.rates = calm;
    this.storeDownUntil = 0;
    this.isRough = false;
  }
}
