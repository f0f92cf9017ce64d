/**
 * An execution of any size in one small answer: without its payloads, or with those that are small
 * and the sizes of the others.
 */
import { limits } from "../../base/limits.ts";
import type { JsonText } from "../../model/json.ts";
import type { ExecutionView } from "../../runtime/shared/orchestrator.ts";
import { raw } from "./json.ts";
import { actionView, executionFrame } from "./views.ts";

/** All payloads that are shown, together. */
const shownBytesMax = 1024 * 1024;
/** What is read for one answer, be it shown or only measured. */
const readBytesMax = 16 * 1024 * 1024;

/** Which payloads an answer has. `small`: sizes in place of those that are large. */
export const payloadChoices = ["all", "small", "none"] as const;

/** Without any payload: what is read does not depend on their sizes. */
export function frameView(execution: ExecutionView): unknown {
  const actions = execution.actions.map((action) => actionView(action, {}));
  return { ...executionFrame(execution), actions };
}

export async function smallView(execution: ExecutionView): Promise<unknown> {
  const budget = new Budget();
  const { text: input, bytes: inputBytes } = await budget.take(execution.input());
  const outputs = new Map<string, Shown>();
  if (!budget.isSpent) {
    for await (const batch of execution.outputs()) {
      for (const [key, output] of batch) {
        if (output !== undefined) outputs.set(key, budget.show(output));
      }
      if (budget.isSpent) break;
    }
  }
  const result = execution.result && !budget.isSpent ? await budget.take(execution.result) : {};
  return {
    ...executionFrame(execution),
    input: asRaw(input),
    inputBytes,
    result: asRaw(result.text),
    resultBytes: result.bytes,
    actions: execution.actions.map((action) => {
      const { text, bytes } = outputs.get(action.key) ?? {};
      return actionView(action, { output: asRaw(text), outputBytes: bytes });
    }),
    incomplete: budget.isSpent || undefined,
  };
}

/** The text of a payload, or its size where that is too much. */
interface Shown {
  readonly text?: JsonText;
  readonly bytes?: number;
}

class Budget {
  #shown = 0;
  #read = 0;

  /** What follows is not looked at any more. */
  get isSpent(): boolean {
    return this.#read > readBytesMax;
  }

  show(text: JsonText): Shown {
    const bytes = Buffer.byteLength(text);
    this.#read += bytes;
    return this.#keep(text, bytes);
  }

  /** Of a payload that comes in pieces; no size when it is too much to read. */
  async take(pieces: AsyncIterable<JsonText>): Promise<Shown> {
    let text = "";
    let bytes = 0;
    for await (const piece of pieces) {
      bytes += Buffer.byteLength(piece);
      this.#read += Buffer.byteLength(piece);
      if (bytes <= limits.smallPayloadBytesMax) text += piece;
      if (this.isSpent) return {};
    }
    return this.#keep(text, bytes);
  }

  #keep(text: JsonText, bytes: number): Shown {
    if (bytes > limits.smallPayloadBytesMax || this.#shown + bytes > shownBytesMax)
      return { bytes };
    this.#shown += bytes;
    return { text };
  }
}

function asRaw(text: JsonText | undefined) {
  return text === undefined ? undefined : raw(text);
}
