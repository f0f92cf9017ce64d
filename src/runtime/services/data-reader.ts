/**
 * Reads fields of an execution's data for an answer that is made while it is sent: all of them
 * together may be more than memory has, so only a few are held at a time.
 */
import type { ExecutionKey } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Store } from "../../store/store.ts";
import { tellFaults } from "../shared/faults.ts";
import type { Gate } from "../shared/gate.ts";
import { gone } from "./executions.ts";

/** Fields of data that are read at a time. */
const fieldsPerReadMax = 8;
/** Fields that are held until the caller has read them, or one field. */
const fieldsReadCharsMax = 512 * 1024;
/** Data of one execution that is kept until its response is made, as it is shown twice. */
const fieldsKeptCharsMax = 64 * 1024;

/** Some of the requested fields, in their order; undefined: the field is missing. */
export type FieldBatch = readonly (readonly [name: string, text: JsonText | undefined])[];

interface Options {
  readonly store: Store;
  readonly key: ExecutionKey;
  /** Bounds how many read at once. */
  readonly gate: Gate;
  readonly abort: AbortSignal | undefined;
}

export class DataReader {
  readonly #options: Options;
  /** Fields of small executions are shown twice, and read once. */
  readonly #kept = new Map<string, JsonText | undefined>();
  #keptChars = 0;

  constructor(options: Options, known: ReadonlyMap<string, JsonText>) {
    this.#options = options;
    for (const [name, text] of known) this.#keep(name, text);
  }

  /** Throws OrchyError when the execution was removed meanwhile, or the caller is gone. */
  async *read(names: readonly string[]): AsyncGenerator<FieldBatch> {
    // How large they are is unknown before: the first read shows it.
    let count = 1;
    for (let from = 0; from < names.length; ) {
      const asked = names.slice(from, from + count);
      const found = await this.#load(asked);
      const batch = withinChars(asked, found, fieldsReadCharsMax);
      from += batch.length;
      // What did not fit is dropped, and read again.
      const isSmall = charsOf(batch) < fieldsReadCharsMax / 2;
      count = isSmall ? Math.min(2 * count, fieldsPerReadMax) : 1;
      yield batch;
    }
  }

  async #load(names: readonly string[]): Promise<ReadonlyMap<string, JsonText | undefined>> {
    const missing = names.filter((name) => !this.#kept.has(name));
    if (missing.length === 0) return this.#kept;
    const { store, key, gate, abort } = this.#options;
    // What comes out of here is read after the call that the facade watches has returned.
    const load = () => tellFaults(() => store.load({ key, fields: missing }));
    const loaded = await gate.pass(load, abort);
    if (loaded.outcome !== "loaded") throw gone(key);
    const found = new Map<string, JsonText | undefined>();
    for (const name of names) {
      const text = this.#kept.get(name) ?? loaded.data.get(name);
      found.set(name, text);
      this.#keep(name, text);
    }
    return found;
  }

  #keep(name: string, text: JsonText | undefined): void {
    const chars = text?.length ?? 0;
    if (this.#kept.has(name) || this.#keptChars + chars > fieldsKeptCharsMax) return;
    this.#keptChars += chars;
    this.#kept.set(name, text);
  }
}

function charsOf(batch: FieldBatch): number {
  return batch.reduce((sum, [, text]) => sum + (text?.length ?? 0), 0);
}

/** As many as fit, but at least one. */
function withinChars(
  names: readonly string[],
  found: ReadonlyMap<string, JsonText | undefined>,
  charsMax: number,
): FieldBatch {
  const batch: [string, JsonText | undefined][] = [];
  let chars = 0;
  for (const name of names) {
    const text = found.get(name);
    chars += text?.length ?? 0;
    if (batch.length > 0 && chars > charsMax) break;
    batch.push([name, text]);
  }
  return batch;
}
