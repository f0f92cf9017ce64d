/**
 * Scripts in the simulation: the production interpreter (QuickJS) in this process, as every script
 * of the workload is known to end. What it answers comes after simulated time.
 */
import { limits } from "../../src/base/limits.ts";
import type { ScriptOutcome } from "../../src/model/event.ts";
import { Interpreter } from "../../src/sandbox/evaluate.ts";
import type { Sandbox, ScriptInput } from "../../src/sandbox/sandbox.ts";
import type { Process } from "./process.ts";

export type Evaluate = (script: ScriptInput) => ScriptOutcome;

/** Real time must not decide anything here. */
const scriptMs = 600_000;

export async function openEvaluator(): Promise<Evaluate> {
  const interpreter = await Interpreter.open({
    scriptMs,
    memoryBytes: limits.scriptMemoryBytes,
    stackBytes: limits.scriptStackBytes,
    outputBytesMax: limits.scriptOutputBytesMax,
    outputDepthMax: limits.jsonDepthMax,
    messageCharsMax: limits.errorMessageCharsMax,
    codeCharsMax: limits.errorCodeCharsMax,
  });
  return ({ expression, isCondition = false, input, execution, actions }) => {
    const members = [
      { name: "input", text: input, isAction: false },
      { name: "execution", text: execution, isAction: false },
      ...Object.entries(actions).map(([name, text]) => ({ name, text, isAction: true })),
    ];
    const outcome = interpreter.evaluate({ expression, isCondition, members });
    // Nothing is awaited: what a fresh world needs is done before this call returns.
    void interpreter.renew();
    return outcome;
  };
}

/** Few at a time, so that others often wait in the store for their turn. */
const processes = 2;

export function simulatedSandbox(process: Process, evaluate: Evaluate): Sandbox {
  let open = 0;
  let onRoom = () => {};
  return {
    processes,
    queued: 0,
    hasQueued: () => false,
    room: () => Math.max(0, processes - open),
    onRoom: (listener) => {
      onRoom = listener;
    },
    evaluate(script, abort) {
      open += 1;
      return new Promise<ScriptOutcome>((resolve) => {
        const aborted = { ok: false, code: "SCRIPT_ERROR", message: "aborted" } as const;
        abort?.addEventListener("abort", () => resolve(aborted));
        const { chance } = process;
        // Some answer too late to become part of the commit that requested them.
        const ms = chance.percent(20) ? chance.below(3_000) : chance.below(5);
        process.clock.after(ms, () => {
          if (abort?.aborted !== true) resolve(evaluate(script));
        });
      }).finally(() => {
        open -= 1;
        onRoom();
      });
    },
    check: async () => undefined,
    stop: async () => {},
  };
}
