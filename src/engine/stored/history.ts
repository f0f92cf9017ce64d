/**
 * How history is written: one text for each commit, as its entries become visible together. It goes
 * to disk with every step, so what follows from its place is left out:
 *
 *     [sequence of the first, at, [kind, action, attempt, details, who], …]
 *
 * `kind` is a place in `kinds`, or a name that is not there. What is missing is null, or left out at
 * the end. A number between entries is the sequence of the next one, where it does not follow.
 */
import { defined } from "../../base/defined.ts";
import type { HistoryEntry } from "../../model/entry.ts";
import type { JsonText } from "../../model/json.ts";
import { parseExact } from "../../model/numbers.ts";

/** Stored by place: only ever added to. */
const kinds = [
  ...["execution.started", "action.scheduled", "action.completed", "execution.completed"],
  ...["action.waiting", "action.skipped", "action.failed", "attempt.failed", "signal.received"],
  ...["signal.kept", "execution.failed", "execution.cancelled", "execution.timed_out"],
];
const placeOf = new Map(kinds.map((kind, place) => [kind, place]));

const failureMark = `,[${placeOf.get("action.failed")},`;

/** The final failures of actions in a text. Most hold none, which costs no more than a look. */
export function actionFailures(text: JsonText): readonly HistoryEntry[] {
  if (!text.includes(failureMark)) return [];
  return readHistory(text).filter(({ kind }) => kind === "action.failed");
}

/** The entries of one commit; `details` is JSON text. */
export class HistoryWriter {
  readonly #at: number;
  #text = "";
  #next = 0;

  constructor(at: number) {
    this.#at = at;
  }

  add(
    sequence: number,
    kind: string,
    of?: {
      readonly action?: string | undefined;
      readonly attempt?: number | undefined;
      readonly who?: string | undefined;
    },
    details?: JsonText,
  ): void {
    if (this.#text === "") this.#text = `[${sequence},${this.#at}`;
    else if (sequence !== this.#next) this.#text += `,${sequence}`;
    this.#next = sequence + 1;
    const place = placeOf.get(kind);
    const action = of?.action === undefined ? undefined : `"${of.action}"`;
    this.#text += `,[${place ?? JSON.stringify(kind)}`;
    if (of?.who !== undefined) {
      const who = JSON.stringify(of.who);
      this.#text += `,${action ?? null},${of.attempt ?? null},${details ?? null},${who}]`;
    } else if (details !== undefined) {
      this.#text += `,${action ?? null},${of?.attempt ?? null},${details}]`;
    } else if (of?.attempt !== undefined) this.#text += `,${action ?? null},${of.attempt}]`;
    else this.#text += action === undefined ? "]" : `,${action}]`;
  }

  /** One text, or none where nothing was added. */
  finish(): readonly JsonText[] {
    return this.#text === "" ? [] : [`${this.#text}]`];
  }
}

type StoredEntry = readonly [
  kind: number | string,
  action?: string | null,
  attempt?: number | null,
  details?: unknown,
  who?: string,
];

/** Reads the first format too: an array of entries as they are shown. */
export function readHistory(text: JsonText): readonly HistoryEntry[] {
  const stored = parseExact(text) as readonly (number | StoredEntry)[] | readonly HistoryEntry[];
  if (typeof stored[0] === "object") return stored as readonly HistoryEntry[];
  const [first, at, ...rest] = stored as readonly [number, number, ...(number | StoredEntry)[]];
  const entries: HistoryEntry[] = [];
  let sequence = first;
  for (const item of rest) {
    if (typeof item === "number") {
      sequence = item;
      continue;
    }
    const [kind, action, attempt, details, who] = item;
    // Before a name, null keeps the place of details that there are none of.
    const hasDetails = details !== null || who === undefined;
    entries.push({
      sequence,
      at,
      kind: typeof kind === "number" ? kinds[kind]! : kind,
      ...defined({
        action: action ?? undefined,
        attempt: attempt ?? undefined,
        details: hasDetails ? details : undefined,
        who,
      }),
    });
    sequence += 1;
  }
  return entries;
}
