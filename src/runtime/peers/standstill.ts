/**
 * Notices that this process stood still (its machine was paused, or it was starved), or the store
 * did. What others sent meanwhile has arrived and is not read yet, or was refused, and what became
 * due looks as if nothing had been sent. So those deadlines are delayed afterwards, for as long
 * as it stood still within limits.standstillMs, and heartbeats may be late by as much: what was
 * sent in time counts.
 */
import { type Clock, elapsedOf, pause } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import type { Logger } from "../../telemetry/log.ts";

interface Stood {
  readonly who: "server" | "store";
  readonly ms: number;
  readonly began: number;
  readonly beganElapsed: number;
  /** Deadlines were delayed already. */
  readonly wasDelaying: boolean;
  readonly isLogged: boolean;
}

export class Standstill {
  readonly #clock: Clock;
  readonly #log: Logger;
  /** When it was last seen to run: by the clock, and by monotonic time. */
  #seenAt = 0;
  #seenElapsed = 0;
  /**
   * When the latest standstill began, by both, and the elapsed time at which what became due
   * counts.
   */
  #began = 0;
  #beganElapsed = 0;
  #delayedUntil = 0;
  #over: Promise<void> | undefined;
  /** When the calls to the store began that fail since, by partition. */
  readonly #failing = new Map<number, number>();
  #cancel: (() => void) | undefined;

  constructor({ clock, log }: { readonly clock: Clock; readonly log: Logger }) {
    this.#clock = clock;
    this.#log = log;
  }

  start(): void {
    this.#seenAt = this.#clock.now();
    this.#seenElapsed = elapsedOf(this.#clock);
    this.#delayedUntil = this.#seenElapsed;
    this.#watch();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Resolves when what was due at this moment may count as missed; undefined: it may now. */
  delayOf(dueAt: number): Promise<void> | undefined {
    if (this.#delayMs() === 0 || dueAt < this.#began) return undefined;
    this.#over ??= this.#pass().finally(() => {
      this.#over = undefined;
    });
    return this.#over;
  }

  /**
   * How late a heartbeat may be now, in whole milliseconds. Time that passed, and not the clock's: one
   * that is set forward and back again would leave leases that end an hour later.
   */
  lateMs(): number {
    if (this.#delayMs() === 0) return 0;
    return Math.floor(this.#seenElapsed - this.#beganElapsed);
  }

  /**
   * Makes a call to the store; those that are made often show whether it stands still. Each says so
   * of itself alone: one that never returns must not delay deadlines for ever.
   */
  async ask<T>(partition: number, call: () => Promise<T>): Promise<T> {
    const askedAt = elapsedOf(this.#clock);
    try {
      const answer = await call();
      const failedAt = this.#failing.get(partition);
      this.#failing.delete(partition);
      // The log says already that a store which failed was away.
      this.#stood(failedAt ?? askedAt, { isLogged: failedAt === undefined });
      return answer;
    } catch (error) {
      if (!this.#failing.has(partition)) this.#failing.set(partition, askedAt);
      throw error;
    }
  }

  #watch(): void {
    this.#cancel = this.#clock.after(limits.standstillLookMs, () => {
      this.#look();
      this.#watch();
    });
  }

  /** Callers may run before its own timer does. */
  #delayMs(): number {
    this.#look();
    return Math.max(0, this.#delayedUntil - this.#seenElapsed);
  }

  /** A clock that is set forward makes as much due as a standstill does. */
  #look(): void {
    const now = this.#clock.now();
    const elapsed = elapsedOf(this.#clock);
    const [began, beganElapsed] = [this.#seenAt, this.#seenElapsed];
    const ms = Math.max(now - began, elapsed - beganElapsed);
    const wasDelaying = beganElapsed < this.#delayedUntil;
    this.#seenAt = now;
    this.#seenElapsed = elapsed;
    if (this.#cancel === undefined) return;
    this.#delay({ who: "server", ms, began, beganElapsed, wasDelaying, isLogged: true });
  }

  #stood(beganElapsed: number, { isLogged }: { readonly isLogged: boolean }): void {
    const wasDelaying = this.#delayMs() > 0;
    const ms = this.#seenElapsed - beganElapsed;
    const began = this.#seenAt - ms;
    this.#delay({ who: "store", ms, began, beganElapsed, wasDelaying, isLogged });
  }

  #delay({ who, ms, began, beganElapsed, wasDelaying, isLogged }: Stood): void {
    if (ms < limits.standstillMsMin) return;
    this.#began = wasDelaying ? Math.min(this.#began, began) : began;
    this.#beganElapsed = wasDelaying ? Math.min(this.#beganElapsed, beganElapsed) : beganElapsed;
    const delayMs = Math.min(ms, limits.standstillMs);
    this.#delayedUntil = Math.max(this.#delayedUntil, this.#seenElapsed + delayMs);
    if (!isLogged || wasDelaying) return;
    this.#log.warn(`the ${who} stood still: deadlines since then are delayed for a moment`, {
      ms: Math.round(ms),
      delayMs: Math.round(delayMs),
    });
  }

  async #pass(): Promise<void> {
    for (let ms = this.#delayMs(); ms > 0; ms = this.#delayMs()) await pause(ms, this.#clock);
  }
}
