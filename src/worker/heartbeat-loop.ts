/**
 * Extends the leases of its tasks, in batches, at a third of the silence each may keep. Runs in a
 * separate thread (heartbeat-thread.ts), or in the main one where that is not possible.
 */
import { create, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { pause, systemClock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import {
  type HeartbeatItem,
  HeartbeatItemSchema,
  HeartbeatRequestSchema,
  HeartbeatStatus,
  WorkerService,
} from "../gen/orchy/v1/worker_pb.ts";
import type { StopReason } from "./errors.ts";
import type { Link } from "./link.ts";
import { workerTime } from "./worker-time.ts";

export interface Lease {
  readonly token: string;
  /** Longest silence; 0: no heartbeats, only the deadline counts. */
  readonly heartbeatMs: number;
  /** By our own clock. */
  readonly deadlineMs: number;
}

/**
 * Messages to the loop. They travel to its thread as JSON text, which is far cheaper than cloning.
 */
export interface LeaseChange {
  readonly add?: readonly Lease[];
  readonly drop?: readonly string[];
  /** One of them now, with the progress (JSON text) if it has any. */
  readonly beat?: { readonly token: string; readonly progressJson: string | undefined };
}

interface TimedLease extends Lease {
  dueMs: number;
  progressJson: string | undefined;
}

export type OnStop = (token: string, reason: StopReason) => void;

const beatsPerSilence = 3;
const callTimeoutMsMin = 1_000;
const callTimeoutMsMax = 10_000;
/** What is due within this share of its interval goes along. */
const earlyShare = 0.25;
const batchBytesMax = limits.requestBytesMax / 2;

export class HeartbeatLoop {
  private readonly link: Link;
  private readonly workerId: string;
  private readonly onStop: OnStop;
  private readonly leases = new Map<string, TimedLease>();
  private readonly stopped = new AbortController();
  private wake = new AbortController();
  private wakesAtMs = 0;

  constructor(link: Link, workerId: string, onStop: OnStop) {
    this.link = link;
    this.workerId = workerId;
    this.onStop = onStop;
  }

  apply({ drop, add, beat }: LeaseChange): void {
    for (const token of drop ?? []) this.leases.delete(token);
    if (add !== undefined) this.add(add);
    if (beat !== undefined) this.beatNow(beat.token, beat.progressJson);
  }

  /** Until stop(). */
  async run(): Promise<void> {
    while (!this.stopped.signal.aborted) {
      await this.sleepUntilDue();
      const due = this.takeDue();
      if (due.length > 0) await this.beat(due);
    }
  }

  stop(): void {
    this.stopped.abort();
    this.wake.abort();
  }

  private add(leases: readonly Lease[]): void {
    const nowMs = workerTime.now();
    for (const lease of leases) {
      const intervalMs = lease.heartbeatMs / beatsPerSilence;
      const dueMs = lease.heartbeatMs === 0 ? lease.deadlineMs : nowMs + intervalMs;
      this.leases.set(lease.token, { ...lease, dueMs, progressJson: undefined });
      if (Math.min(dueMs, lease.deadlineMs) < this.wakesAtMs) this.wake.abort();
    }
  }

  private beatNow(token: string, progressJson: string | undefined): void {
    const lease = this.leases.get(token);
    if (lease === undefined) return;
    lease.progressJson = progressJson ?? lease.progressJson;
    lease.dueMs = workerTime.now();
    this.wake.abort();
  }

  private async sleepUntilDue(): Promise<void> {
    const nowMs = workerTime.now();
    let nextMs = nowMs + limits.sleepMsMax;
    for (const { dueMs, deadlineMs } of this.leases.values()) {
      nextMs = Math.min(nextMs, dueMs, deadlineMs);
    }
    this.wake = new AbortController();
    this.wakesAtMs = nextMs;
    if (this.stopped.signal.aborted) return;
    await pause(Math.max(0, nextMs - nowMs), systemClock, this.wake.signal);
    this.wakesAtMs = 0;
  }

  private takeDue(): TimedLease[] {
    const nowMs = workerTime.now();
    const due: TimedLease[] = [];
    let bytes = 0;
    for (const lease of this.leases.values()) {
      if (nowMs >= lease.deadlineMs) {
        this.leases.delete(lease.token);
        this.onStop(lease.token, "deadline");
        continue;
      }
      if (lease.heartbeatMs === 0 && lease.dueMs > nowMs) continue;
      const early = (lease.heartbeatMs / beatsPerSilence) * earlyShare;
      if (lease.dueMs - early > nowMs) continue;
      bytes += lease.token.length + (lease.progressJson?.length ?? 0) * 3;
      if (due.length === limits.heartbeatsPerCallMax || bytes > batchBytesMax) break;
      due.push(lease);
    }
    return due;
  }

  private async beat(due: readonly TimedLease[]): Promise<void> {
    const sent = due.map((lease) => ({ lease, progressJson: lease.progressJson }));
    const shortestMs = Math.min(...due.map(({ heartbeatMs }) => heartbeatMs || callTimeoutMsMax));
    const timeoutMs = Math.max(
      callTimeoutMsMin,
      Math.min(shortestMs / beatsPerSilence, callTimeoutMsMax),
    );
    const session = await this.link.ready().catch(() => undefined);
    if (session === undefined) {
      await pause(callTimeoutMsMin, systemClock, this.stopped.signal);
      return;
    }
    try {
      const tasks = sent.map(({ lease, progressJson }) => itemOf(lease.token, progressJson));
      const request = create(HeartbeatRequestSchema, { tasks, workerId: this.workerId });
      const options = { timeoutMs, abort: this.stopped.signal };
      const answer = await session.call(WorkerService.method.heartbeat, request, options);
      this.link.succeeded(session);
      const nowMs = workerTime.now();
      sent.forEach(({ lease, progressJson }, index) => {
        const { heartbeatMs, deadlineMs } = lease;
        lease.dueMs = heartbeatMs === 0 ? deadlineMs : nowMs + heartbeatMs / beatsPerSilence;
        if (lease.progressJson === progressJson) lease.progressJson = undefined;
        else lease.dueMs = nowMs;
        this.hear(lease.token, answer.statuses[index]);
      });
    } catch (error) {
      // They stay due; the link pauses before it gives the next session.
      this.link.failed(session, error);
      await pause(100, systemClock, this.stopped.signal);
    }
  }

  private hear(token: string, status: HeartbeatStatus | undefined): void {
    const lost = status === HeartbeatStatus.CANCELLED || status === HeartbeatStatus.STALE;
    if (!lost || !this.leases.delete(token)) return;
    this.onStop(token, status === HeartbeatStatus.CANCELLED ? "cancelled" : "stale");
  }
}

function itemOf(token: string, progressJson: string | undefined): HeartbeatItem {
  const item = create(HeartbeatItemSchema, { token });
  if (progressJson !== undefined) {
    item.progress = fromJson(ValueSchema, JSON.parse(progressJson) as JsonValue);
  }
  return item;
}
