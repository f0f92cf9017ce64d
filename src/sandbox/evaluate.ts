/**
 * One QuickJS interpreter inside a script process: fresh world per script, deadline, memory, stack
 * and output bounds. It trusts nothing that a script leaves behind: an interpreter that grew,
 * overflowed or broke is thrown away whole.
 */

import type { QuickJSContext, QuickJSHandle } from "quickjs-emscripten";
import { inBytes } from "../base/amount.ts";
import { isTooDeep } from "../base/json-shape.ts";
import type { ScriptOutcome } from "../model/event.ts";
import type { LimitName, Machine, ScriptLimits } from "./machine.ts";
import { baseBytes, LimitReached, openMachine } from "./machine.ts";
import { deadlineMessage } from "./messages.ts";
import { outputTooLarge, refusalName } from "./prelude.ts";

/** A member of `$`: its JSON text. That of an action is output once the script assigns it. */
interface Member {
  readonly name: string;
  readonly text: string;
  readonly isAction: boolean;
}

interface Script {
  readonly expression: string;
  readonly members: readonly Member[];
  readonly isCondition: boolean;
}

const renewalsPerCollection = 2_000;
const fileName = "script.js";

class ScriptThrew extends Error {
  /** What the action fails with. */
  readonly code: string;

  constructor(message: string, code = "SCRIPT_ERROR") {
    super(message);
    this.code = code;
  }
}

export class Interpreter {
  readonly #limits: ScriptLimits;
  #machine: Machine | undefined;
  /** When to look at the script's time again, on the monotonic clock. */
  #looksAt = Number.POSITIVE_INFINITY;
  /** Processor time of the process when the script began. */
  #cpuMsBefore = 0;
  #interrupted: LimitName | undefined;
  #isBroken = false;
  #renewals = 0;

  private constructor(limits: ScriptLimits) {
    this.#limits = limits;
  }

  static async open(limits: ScriptLimits): Promise<Interpreter> {
    const interpreter = new Interpreter(limits);
    await interpreter.renew();
    return interpreter;
  }

  evaluate(script: Script): ScriptOutcome {
    return this.#guarded<ScriptOutcome>(
      (machine) => {
        this.#fill(machine, script);
        const result = machine.context.evalCode(script.expression, fileName, { type: "global" });
        const completion = this.#unwrap(machine, result);
        const read = script.isCondition ? machine.decide : machine.collect;
        return this.#readOutput(machine, read, completion);
      },
      (code, message) => ({ ok: false, code, message }),
    );
  }

  /** What is wrong with a script's syntax, or undefined. Nothing of it runs. */
  check(expression: string): string | undefined {
    return this.#guarded<string | undefined>(
      (machine) => {
        const options = { type: "global", compileOnly: true } as const;
        this.#unwrap(machine, machine.context.evalCode(expression, fileName, options));
        return undefined;
      },
      (_code, message) => message,
    );
  }

  /** Whether the machine must be replaced, because it broke or because its memory has grown. */
  get isWorn(): boolean {
    return this.#isBroken || this.#memoryBytes() > baseBytes + this.#limits.memoryBytes / 2;
  }

  /**
   * Makes the world new; call it after each answer, when it is sent. Writing back the bytes that
   * the world began with takes a tenth of the time of a new context, whatever the script left
   * behind, and undoes everything: handles need no disposal.
   */
  async renew(): Promise<void> {
    this.#looksAt = Number.POSITIVE_INFINITY;
    this.#interrupted = undefined;
    if (this.#machine === undefined || this.isWorn) {
      this.#machine = undefined;
      this.#machine = await openMachine(this.#limits, () => this.#mustStop());
      this.#isBroken = false;
      this.#renewals = 0;
    } else {
      this.#machine.restore();
      this.#renewals += 1;
    }
    // Gives the old machine back to the system, and keeps small garbage from growing to 100 MB.
    if (this.#renewals % renewalsPerCollection === 0) Bun.gc(true);
  }

  /** Runs under the limits and words what goes wrong. */
  #guarded<T>(run: (machine: Machine) => T, failed: (code: string, message: string) => T): T {
    const machine = this.#machine;
    if (machine === undefined) throw new Error("the interpreter was not renewed");
    this.#looksAt = performance.now() + this.#limits.scriptMs;
    this.#cpuMsBefore = cpuMs();
    try {
      const result = run(machine);
      this.#assertWithinLimits();
      return result;
    } catch (thrown) {
      if (thrown instanceof ScriptThrew) {
        return failed(thrown.code, thrown.message.slice(0, this.#limits.messageCharsMax));
      }
      return failed("SCRIPT_LIMIT", this.#describeLimit(this.#limitOf(thrown)));
    }
  }

  #mustStop(): boolean {
    if (this.#isTimePassed()) this.#interrupted ??= "deadline";
    else if (this.#isMemoryPassed()) this.#interrupted ??= "memory";
    return this.#interrupted !== undefined;
  }

  /**
   * A script's time is processor time: a machine that stood still, or had others to serve, ends
   * none.
   */
  #isTimePassed(): boolean {
    const now = performance.now();
    if (now <= this.#looksAt) return false;
    const leftMs = this.#limits.scriptMs - (cpuMs() - this.#cpuMsBefore);
    if (leftMs <= 0) return true;
    this.#looksAt = now + Math.max(1, leftMs);
    return false;
  }

  #memoryBytes(): number {
    return this.#machine?.memory.buffer.byteLength ?? 0;
  }

  #isMemoryPassed(): boolean {
    return this.#memoryBytes() > baseBytes + this.#limits.memoryBytes;
  }

  #assertWithinLimits(): void {
    // A script that was stopped may not answer after all, nor may one whose heap was full.
    if (this.#interrupted !== undefined) throw new LimitReached(this.#interrupted);
    if (this.#isMemoryPassed()) throw new LimitReached("memory");
  }

  #fill(machine: Machine, script: Script): void {
    const { context } = machine;
    const call = (part: QuickJSHandle, ...values: QuickJSHandle[]) =>
      this.#unwrap(machine, context.callFunction(part, context.undefined, ...values));
    const [a = 0, b = 0, c = 0, d = 0] = crypto.getRandomValues(new Int32Array(4));
    call(machine.seed, ...[a, b, c, d].map((number) => context.newNumber(number)));
    for (const { name, text, isAction } of script.members) {
      const flag = isAction ? context.true : context.false;
      call(machine.define, context.newString(name), context.newString(text), flag);
    }
  }

  #readOutput(machine: Machine, read: QuickJSHandle, completion: QuickJSHandle): ScriptOutcome {
    const { context } = machine;
    const result = context.callFunction(read, context.undefined, completion);
    const text = context.getString(this.#unwrap(machine, result));
    const lineFeed = text.indexOf("\n");
    const route = text.slice(0, lineFeed);
    const output = text.slice(lineFeed + 1);
    if (Buffer.byteLength(output) > this.#limits.outputBytesMax) throw new LimitReached("output");
    if (isTooDeep(output, this.#limits.outputDepthMax)) throw new LimitReached("depth");
    return route === ""
      ? { ok: true, output }
      : { ok: true, output, route: JSON.parse(route) as string };
  }

  /** The value of a call into QuickJS; what was thrown there becomes one of our two errors. */
  #unwrap(machine: Machine, result: ReturnType<QuickJSContext["evalCode"]>): QuickJSHandle {
    this.#assertWithinLimits();
    if (result.error === undefined) return result.value;
    const { context } = machine;
    const described = context.callFunction(machine.describe, context.undefined, result.error);
    this.#assertWithinLimits();
    if (described.error !== undefined) throw new ScriptThrew("The script threw an exception.");
    const { name, message, stack, code } = JSON.parse(context.getString(described.value)) as {
      name: string;
      message: string;
      stack: string;
      code?: string;
    };
    if (code !== undefined) throw new ScriptThrew(message, code);
    if (name === refusalName) {
      throw message === outputTooLarge ? new LimitReached("output") : new ScriptThrew(message);
    }
    if (name === "InternalError" || name === "SyntaxError") {
      if (message === "stack overflow") throw new LimitReached("stack");
      if (message === "out of memory" || message === "string too long") {
        throw new LimitReached("memory");
      }
    }
    throw new ScriptThrew(worded(name, message, stack));
  }

  #limitOf(thrown: unknown): LimitReached {
    if (thrown instanceof LimitReached) {
      // After these two the heap is as the script left it; a new machine is safer and cheap.
      if (thrown.limit === "memory" || thrown.limit === "stack") this.#isBroken = true;
      return thrown;
    }
    this.#isBroken = true;
    if (this.#interrupted !== undefined) return new LimitReached(this.#interrupted);
    if (this.#isMemoryPassed()) return new LimitReached("memory");
    // The engine around the WASM machine says this when native recursion goes too deep.
    if (thrown instanceof RangeError) return new LimitReached("stack");
    return new LimitReached("broken", thrown instanceof Error ? thrown.message : String(thrown));
  }

  #describeLimit(reached: LimitReached): string {
    const limits = this.#limits;
    switch (reached.limit) {
      case "deadline":
        return deadlineMessage(limits.scriptMs);
      case "memory":
        return `The script and its data used more than ${inBytes(limits.memoryBytes)} of memory.`;
      case "stack":
        return "The script nests or recurses too deeply: its stack is full.";
      case "output":
        return `The output is larger than ${inBytes(limits.outputBytesMax)} as JSON.`;
      case "depth":
        return `The output is nested more than ${limits.outputDepthMax} levels deep.`;
      case "broken":
        return `The script broke its interpreter (${reached.message.slice(0, 200)}).`;
    }
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** `TypeError: … (line 2, column 9)`: the innermost place that is in the script itself. */
function worded(name: string, message: string, stack: string): string {
  const place = /\bscript\.js:(\d+)(?::(\d+))?/.exec(stack);
  const prefix = name === "" ? "" : `${name}: `;
  const text = `${prefix}${message}` || "The script threw an empty exception.";
  if (place === null) return text;
  const column = place[2] === undefined ? "" : `, column ${place[2]}`;
  return `${text} (line ${place[1]}${column})`;
}
