/**
 * The sandbox: a queue of scripts in front of a few script processes. It decides which process runs
 * what, kills a process whose script does not end, replaces it, and repeats what a process lost
 * through no fault of its script. Scripts are pure, so repeating one is harmless.
 */
import type { Clock } from "../clock.ts";
import { limits } from "../limits.ts";
import type { ScriptOutcome } from "../model/event.ts";
import type { ScriptLimits } from "./machine.ts";
import { deadlineMessage, mebibytes } from "./messages.ts";
import type { ScriptProcess } from "./process.ts";
import { startScriptProcess } from "./process.ts";
import { type Sandbox, SandboxStopped, type ScriptInput } from "./sandbox.ts";

export interface SandboxOptions {
  readonly clock: Clock;
  /** How many scripts run at once; default 2. */
  readonly processes?: number;
  readonly scriptMs?: number;
  readonly graceMs?: number;
  readonly memoryBytes?: number;
  readonly stackBytes?: number;
  readonly outputBytesMax?: number;
}

/** `ok` and output and perhaps route, or `error`, `limit` or `problem` and a message. */
type Answer = readonly string[];

interface Job {
  readonly request: readonly string[];
  /** Called once; undefined after that. */
  settle: ((answer: Answer | undefined) => void) | undefined;
  /** How many processes ended under it without being told to. */
  losses: number;
}

interface Slot {
  process: ScriptProcess | undefined;
  isReady: boolean;
  job: Job | undefined;
  cancelTimer: () => void;
}

/** A process that is not ready by then is killed. Starting takes about 0.1 s on an idle machine. */
const startMs = 20_000;
/** After so many starts in a row that failed, waiting scripts are answered. */
const startsMax = 3;
/** A job that lost so many processes is what ends them. */
const lossesMax = 2;
/**
 * A server that was held up itself finds its timer due and the answer waiting at once: it looks at
 * what has come in for so long before it kills.
 */
const lookMs = 20;

export function createSandbox(options: SandboxOptions): Sandbox {
  return new ScriptPool(options);
}

class ScriptPool implements Sandbox {
  readonly #clock: Clock;
  readonly #limits: ScriptLimits;
  readonly #graceMs: number;
  readonly #slots: readonly Slot[];
  readonly #queue: Job[] = [];
  #failedStarts = 0;
  #isStopped = false;

  constructor(options: SandboxOptions) {
    this.#clock = options.clock;
    this.#graceMs = options.graceMs ?? limits.scriptGraceMs;
    this.#limits = {
      scriptMs: options.scriptMs ?? limits.scriptMs,
      memoryBytes: options.memoryBytes ?? limits.scriptMemoryBytes,
      stackBytes: options.stackBytes ?? limits.scriptStackBytes,
      outputBytesMax: options.outputBytesMax ?? limits.scriptOutputBytesMax,
      outputDepthMax: limits.jsonDepthMax,
      messageCharsMax: limits.errorMessageCharsMax,
    };
    this.#slots = Array.from({ length: options.processes ?? 2 }, () => ({
      process: undefined,
      isReady: false,
      job: undefined,
      cancelTimer: () => {},
    }));
    // One is made ready ahead of the first script; the others start when they are needed.
    if (this.#slots[0] !== undefined) this.#start(this.#slots[0]);
  }

  async evaluate(script: ScriptInput, abort?: AbortSignal): Promise<ScriptOutcome> {
    const request = requestOf(script);
    const dataChars = request.reduce((sum, text) => sum + text.length, 0);
    // Such data cannot fit; it is not worth the way to the process.
    if (dataChars > this.#limits.memoryBytes) {
      return {
        ok: false,
        code: "SCRIPT_LIMIT",
        message: `The script's data is larger than ${mebibytes(this.#limits.memoryBytes)}.`,
      };
    }
    const [status, text = "", route] = await this.#run(request, abort);
    if (status === "ok") {
      return route === undefined ? { ok: true, output: text } : { ok: true, output: text, route };
    }
    return { ok: false, code: status === "limit" ? "SCRIPT_LIMIT" : "SCRIPT_ERROR", message: text };
  }

  async check(expression: string): Promise<string | undefined> {
    const [status, text] = await this.#run(["check", expression]);
    return status === "ok" ? undefined : text;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const job of this.#queue.splice(0)) settle(job, undefined);
    const processes = this.#slots.map((slot) => {
      if (slot.job !== undefined) settle(slot.job, undefined);
      return this.#drop(slot);
    });
    await Promise.all(processes.map((process) => process?.ended));
  }

  #run(request: readonly string[], abort?: AbortSignal): Promise<Answer> {
    if (this.#isStopped) return Promise.reject(new SandboxStopped());
    if (abort?.aborted) return Promise.resolve(aborted);
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const onAbort = () => {
      // A running script ends in its own time, within its deadline: its process is kept.
      const index = this.#queue.indexOf(job);
      if (index >= 0) this.#queue.splice(index, 1);
      settle(job, aborted);
    };
    const job: Job = {
      request,
      settle: (answer) => {
        abort?.removeEventListener("abort", onAbort);
        if (answer === undefined) reject(new SandboxStopped());
        else resolve(answer);
      },
      losses: 0,
    };
    abort?.addEventListener("abort", onAbort);
    this.#queue.push(job);
    this.#dispatch();
    return promise;
  }

  /** Gives waiting scripts to free processes, first come first served, and starts missing ones. */
  #dispatch(): void {
    for (const slot of this.#slots) {
      if (this.#queue.length === 0) return;
      if (slot.isReady && slot.job === undefined) this.#give(slot, this.#queue.shift()!);
    }
    let starting = this.#slots.filter((slot) => slot.process && !slot.isReady).length;
    for (const slot of this.#slots) {
      if (starting >= this.#queue.length) return;
      if (slot.process !== undefined) continue;
      this.#start(slot);
      starting += 1;
    }
  }

  #give(slot: Slot, job: Job): void {
    slot.job = job;
    slot.process?.send(job.request);
    const { scriptMs } = this.#limits;
    slot.cancelTimer = this.#clock.after(scriptMs + this.#graceMs - lookMs, () => {
      slot.cancelTimer = this.#clock.after(lookMs, () => {
        settle(job, ["limit", deadlineMessage(scriptMs)]);
        this.#drop(slot);
        this.#start(slot);
        this.#dispatch();
      });
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
      settle(job, answer);
    }
    slot.isReady = state === "ready";
    if (slot.isReady) this.#failedStarts = 0;
    else this.#awaitReady(slot);
    this.#dispatch();
  }

  /** A process ended that was not told to, by itself or from outside. */
  #lost(slot: Slot, reason: string): void {
    const { job, isReady } = slot;
    this.#drop(slot);
    if (job?.settle !== undefined) {
      job.losses += 1;
      if (job.losses < lossesMax) this.#queue.unshift(job);
      else settle(job, ["limit", `The script's process ended each time it ran (${reason}).`]);
    }
    if (isReady) this.#dispatch();
    else this.#startFailed(reason);
  }

  #startFailed(reason: string): void {
    this.#failedStarts += 1;
    if (this.#failedStarts >= startsMax) {
      this.#failedStarts = 0;
      const message = `No process could be started for the script (${reason}).`;
      for (const job of this.#queue.splice(0)) settle(job, ["error", message]);
    }
    this.#dispatch();
  }

  /** Empties a slot; answers the process that was in it, killed. */
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

/** Without an answer: the sandbox has stopped. */
function settle(job: Job, answer: Answer | undefined): void {
  job.settle?.(answer);
  job.settle = undefined;
}

/** What the script process reads: kind, expression, reserved names, then three texts a member. */
function requestOf(script: ScriptInput): string[] {
  const { reserved = [], members = {} } = script;
  const request = ["evaluate", script.expression];
  request.push(reserved.length === 0 ? "" : JSON.stringify(reserved));
  request.push("input", "member", script.input, "execution", "member", script.execution);
  for (const [name, text] of Object.entries(members)) request.push(name, "member", text);
  for (const [name, text] of Object.entries(script.outputs)) request.push(name, "output", text);
  return request;
}
