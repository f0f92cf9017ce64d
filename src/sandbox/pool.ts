/**
 * The sandbox: a queue of scripts in front of a few script processes. It decides which process runs
 * what, kills a process whose script does not end, replaces it, and repeats what a process lost
 * through no fault of its script. Scripts are pure, so repeating one is harmless.
 */
import { inBytes } from "../base/amount.ts";
import type { Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { ScriptOutcome } from "../model/event.ts";
import type { Logger } from "../telemetry/log.ts";
import type { ScriptLimits } from "./machine.ts";
import { deadlineMessage } from "./messages.ts";
import type { ScriptProcess } from "./process.ts";
import { startScriptProcess } from "./process.ts";
import { type Answer, type Job, JobQueue, settle } from "./queue.ts";
import { type Sandbox, SandboxUnavailable, type ScriptInput } from "./sandbox.ts";

export interface SandboxOptions {
  readonly clock: Clock;
  readonly log?: Logger;
  /** How many scripts run at once; default 2. */
  readonly processes?: number;
  readonly scriptMs?: number;
  readonly graceMs?: number;
  readonly memoryBytes?: number;
  readonly stackBytes?: number;
  readonly outputBytesMax?: number;
}

interface Slot {
  process: ScriptProcess | undefined;
  isReady: boolean;
  job: Job | undefined;
  /** When the job was given, on the monotonic clock. */
  givenAt: number;
  cancelTimer: () => void;
}

/** A process that is not ready by then is killed. Starting takes about 0.1 s on an idle machine. */
const startMs = 20_000;
/** After this many failed starts in a row, waiting scripts are refused for a while. */
const startsMax = 3;
const restMs = 1_000;
/** A job that lost this many processes is what ends them. */
const lossesMax = 2;
/**
 * A server that was held up itself finds its timer due and the answer waiting at once: it looks at
 * what has come in for this long before it kills.
 */
const lookMs = 20;
/** A script whose process got too little processor time in this many looks is run anew. */
const starvedLooksMax = 10;

export function createSandbox(options: SandboxOptions): Sandbox {
  return new ScriptPool(options);
}

class ScriptPool implements Sandbox {
  readonly #clock: Clock;
  readonly #limits: ScriptLimits;
  readonly #graceMs: number;
  readonly #log: Logger | undefined;
  readonly #slots: readonly Slot[];
  readonly #queue = new JobQueue();
  #failedStarts = 0;
  #isResting = false;
  #isStopped = false;
  #onRoom = () => {};

  constructor(options: SandboxOptions) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#graceMs = options.graceMs ?? limits.scriptGraceMs;
    this.#limits = {
      scriptMs: options.scriptMs ?? limits.scriptMs,
      memoryBytes: options.memoryBytes ?? limits.scriptMemoryBytes,
      stackBytes: options.stackBytes ?? limits.scriptStackBytes,
      outputBytesMax: options.outputBytesMax ?? limits.scriptOutputBytesMax,
      outputDepthMax: limits.jsonDepthMax,
      messageCharsMax: limits.errorMessageCharsMax,
      codeCharsMax: limits.errorCodeCharsMax,
    };
    this.#slots = Array.from({ length: options.processes ?? 2 }, () => ({
      process: undefined,
      isReady: false,
      job: undefined,
      givenAt: 0,
      cancelTimer: () => {},
    }));
    // One is made ready ahead of the first script; the others start when they are needed.
    if (this.#slots[0] !== undefined) this.#start(this.#slots[0]);
  }

  get processes(): number {
    return this.#slots.length;
  }

  get queued(): number {
    return this.#queue.size;
  }

  hasQueued(group: string): boolean {
    return this.#queue.has(group);
  }

  room(group: string): number {
    return this.#isResting || this.#isStopped ? 0 : this.#queue.room(group, this.processes);
  }

  onRoom(listener: () => void): void {
    this.#onRoom = listener;
  }

  async evaluate(script: ScriptInput, abort?: AbortSignal): Promise<ScriptOutcome> {
    const request = requestOf(script);
    const chars = request.reduce((sum, text) => sum + text.length, 0);
    // Such data cannot fit; it is not worth the way to the process.
    if (chars > this.#limits.memoryBytes) {
      return {
        ok: false,
        code: "SCRIPT_LIMIT",
        message: `The script's data is larger than ${inBytes(this.#limits.memoryBytes)}.`,
      };
    }
    const group = script.group ?? "";
    const [status, text = "", more] = await this.#run({ group, request, chars }, abort);
    if (status === "ok") {
      return more === undefined
        ? { ok: true, output: text }
        : { ok: true, output: text, route: more };
    }
    if (status === "limit") return { ok: false, code: "SCRIPT_LIMIT", message: text };
    return { ok: false, code: more ?? "SCRIPT_ERROR", message: text };
  }

  async check(expression: string): Promise<string | undefined> {
    const request = ["check", expression];
    const chars = expression.length;
    const [status, text] = await this.#run({ group: "", request, chars });
    return status === "ok" ? undefined : text;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    const stopped = new SandboxUnavailable("The server is shutting down; try again.");
    this.#queue.refuse(stopped);
    const processes = this.#slots.map((slot) => {
      if (slot.job !== undefined) settle(slot.job, stopped);
      return this.#drop(slot);
    });
    await Promise.all(processes.map((process) => process?.ended));
  }

  #run(
    { group, request, chars }: Pick<Job, "group" | "request" | "chars">,
    abort?: AbortSignal,
  ): Promise<Answer> {
    if (this.#isStopped) {
      return Promise.reject(new SandboxUnavailable("The server is shutting down; try again."));
    }
    if (abort?.aborted) return Promise.resolve(aborted);
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const onAbort = () => {
      // A running script ends in its own time, within its deadline: its process is kept.
      this.#queue.remove(job);
      settle(job, aborted);
      this.#onRoom();
    };
    const job: Job = {
      group,
      request,
      chars,
      losses: 0,
      settle: (answer) => {
        abort?.removeEventListener("abort", onAbort);
        if (answer instanceof SandboxUnavailable) reject(answer);
        else resolve(answer);
      },
    };
    abort?.addEventListener("abort", onAbort);
    this.#queue.add(job);
    this.#dispatch();
    return promise;
  }

  /** Gives waiting scripts to free processes, the groups in turn, and starts missing ones. */
  #dispatch(): void {
    for (const slot of this.#slots) {
      if (!slot.isReady || slot.job !== undefined) continue;
      const job = this.#queue.take();
      if (job === undefined) return;
      this.#give(slot, job);
      this.#onRoom();
    }
    if (this.#isResting) return;
    let starting = this.#slots.filter((slot) => slot.process && !slot.isReady).length;
    for (const slot of this.#slots) {
      if (starting >= this.#queue.size) return;
      if (slot.process !== undefined) continue;
      this.#start(slot);
      starting += 1;
    }
  }

  #give(slot: Slot, job: Job): void {
    slot.job = job;
    slot.givenAt = performance.now();
    slot.process?.send(job.request);
    this.#watch(slot, job, { cpuMsBefore: slot.process?.cpuMs(), looks: 1 });
  }

  /** Kills a process whose script has used up its time without ending, natively for instance. */
  #watch(
    slot: Slot,
    job: Job,
    { cpuMsBefore, looks }: { cpuMsBefore: number | undefined; looks: number },
  ): void {
    const { scriptMs } = this.#limits;
    const decide = () => {
      const cpuMs = slot.process?.cpuMs();
      const isStarved =
        cpuMs !== undefined && cpuMsBefore !== undefined && cpuMs - cpuMsBefore < scriptMs;
      if (isStarved && looks < starvedLooksMax) {
        this.#watch(slot, job, { cpuMsBefore, looks: looks + 1 });
        return;
      }
      if (isStarved) this.#queue.addAgain(job);
      else settle(job, ["limit", deadlineMessage(scriptMs)]);
      this.#drop(slot);
      this.#start(slot);
      this.#dispatch();
    };
    slot.cancelTimer = this.#clock.after(scriptMs + this.#graceMs - lookMs, () => {
      slot.cancelTimer = this.#clock.after(lookMs, decide);
    });
  }

  #start(slot: Slot): void {
    if (this.#isStopped) return;
    let process: ScriptProcess;
    try {
      process = startScriptProcess(this.#limits, {
        heard: (texts) => slot.process === process && this.#heard(slot, texts),
        ended: (reason) => slot.process === process && this.#lost(slot, reason),
      });
    } catch (error) {
      this.#startFailed(error instanceof Error ? error.message : String(error));
      return;
    }
    slot.process = process;
    this.#awaitReady(slot);
  }

  #awaitReady(slot: Slot): void {
    slot.cancelTimer = this.#clock.after(startMs, () => {
      this.#lost(slot, `it was not ready after ${startMs} ms`);
    });
  }

  #heard(slot: Slot, [state, ...answer]: readonly string[]): void {
    slot.cancelTimer();
    const { job } = slot;
    if (job !== undefined && answer.length > 0) {
      slot.job = undefined;
      this.#queue.ran(performance.now() - slot.givenAt);
      settle(job, answer);
    }
    slot.isReady = state === "ready";
    if (slot.isReady) this.#failedStarts = 0;
    else this.#awaitReady(slot);
    this.#dispatch();
  }

  /** A process ended that was not stopped, by itself or from outside. */
  #lost(slot: Slot, reason: string): void {
    const { job, isReady } = slot;
    this.#drop(slot);
    if (job?.settle !== undefined) {
      job.losses += 1;
      if (job.losses < lossesMax) this.#queue.addAgain(job);
      else settle(job, ["limit", `The script's process ended each time it ran (${reason}).`]);
    }
    if (isReady) this.#dispatch();
    else this.#startFailed(reason);
  }

  #startFailed(reason: string): void {
    this.#failedStarts += 1;
    if (this.#failedStarts >= startsMax && !this.#isResting) {
      this.#isResting = true;
      this.#clock.after(restMs, () => {
        this.#isResting = false;
        this.#dispatch();
        this.#onRoom();
      });
      const message = `No process could be started for the script (${reason}).`;
      this.#log?.error("scripts cannot be run: no process could be started for them", { reason });
      this.#queue.refuse(new SandboxUnavailable(message));
    }
    this.#dispatch();
  }

  /** Empties a slot; returns the process that was in it, killed. */
  #drop(slot: Slot): ScriptProcess | undefined {
    const { process } = slot;
    slot.cancelTimer();
    slot.process = undefined;
    slot.isReady = false;
    slot.job = undefined;
    process?.kill();
    return process;
  }
}

const aborted: Answer = ["error", "The script was given up before it ended."];

/** What the script process reads: kind, expression, then three texts a member. */
function requestOf(script: ScriptInput): string[] {
  const { members = {} } = script;
  const request = [script.isCondition ? "decide" : "evaluate", script.expression];
  request.push("input", "member", script.input, "execution", "member", script.execution);
  for (const [name, text] of Object.entries(members)) request.push(name, "member", text);
  for (const [name, text] of Object.entries(script.actions)) request.push(name, "action", text);
  return request;
}
