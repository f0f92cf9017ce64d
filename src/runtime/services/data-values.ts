/** One value of an execution's data, by the path with which templates refer to it. */
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { View } from "../../engine/decision/view.ts";
import {
  parseReference,
  type Reference,
  ReferenceSyntaxError,
  resolveReference,
} from "../../language/data/reference.ts";
import { TooLarge, Work } from "../../language/data/work.ts";
import { hasOutput } from "../../model/execution.ts";
import { executionKey, fields } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Store } from "../../store/store.ts";
import type { Plans } from "../catalogue/plans.ts";
import { loadExecution } from "../driving/load.ts";
import { Gate } from "../shared/gate.ts";
import { gone, notFound } from "./executions.ts";

/** Outputs that one path may read. */
const outputsReadMax = 8;

interface Options {
  readonly store: Store;
  readonly plans: Plans;
}

export class DataValues {
  readonly #options: Options;
  readonly #gate = new Gate(limits.readsAtOnceMax);

  constructor(options: Options) {
    this.#options = options;
  }

  /** Throws INVALID_ARGUMENT for what is no path, and NOT_FOUND where nothing is there. */
  read(id: string, path: string, abort?: AbortSignal): Promise<JsonText> {
    return this.#gate.pass(() => this.#read(id, referenceOf(path)), abort);
  }

  async #read(id: string, reference: Reference): Promise<JsonText> {
    const { store, plans } = this.#options;
    const key = executionKey(id, store.partitions);
    const { outputs, input } = reference.needs;
    const names = [
      ...(input ? [fields.input] : []),
      ...(outputs as readonly string[]).map(fields.output),
    ];
    const loaded = await loadExecution(store, key, names);
    if (loaded === "not-found") throw notFound(key);
    if (loaded === "gone") throw gone(key);
    const { state, records, data } = loaded.execution;
    const plan = await plans.of(state);
    const view = new View({
      plan,
      state,
      read: (field) => data.get(field),
      hasOutput: (index) => hasOutput(records[index]),
      record: (index) => records[index] ?? { status: "PENDING" },
      handledFailure: () => JSON.stringify(state.failure ?? null),
      output(action, index) {
        if (records[index]?.items?.isLarge !== true) return data.get(fields.output(action));
        const message = `The output of ${action} is larger than a payload: read its items page by page.`;
        throw new OrchyError("TOO_LARGE", message);
      },
    });
    const value = resolve(reference, view);
    if (value !== undefined) return value;
    throw new OrchyError("NOT_FOUND", `The execution ${id} has no ${reference.text}.`);
  }
}

function referenceOf(path: string): Reference {
  const refused = (message: string) =>
    new OrchyError("INVALID_ARGUMENT", "The path is invalid.", [{ pointer: "{path}", message }]);
  let reference: Reference;
  try {
    reference = parseReference(path);
  } catch (error) {
    if (error instanceof ReferenceSyntaxError) throw refused(error.message);
    throw error;
  }
  const { outputs } = reference.needs;
  if (outputs !== "all" && outputs.length <= outputsReadMax) return reference;
  throw refused("It reads the outputs of too many actions. Name one: $.<id>.output.");
}

function resolve(reference: Reference, view: View): JsonText | undefined {
  try {
    return resolveReference(reference, view, new Work());
  } catch (error) {
    if (error instanceof TooLarge) throw new OrchyError("TOO_LARGE", error.message);
    throw error;
  }
}
