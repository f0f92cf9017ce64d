/** JSON answers by assembly: payloads are inserted as the text they are, never parsed again. */
import type { JsonText } from "../../model/json.ts";
import { isExactNumber } from "../../model/numbers.ts";

/** Text that stands for itself in an answer. */
export class RawJson {
  readonly text: JsonText;

  constructor(text: JsonText) {
    this.text = text;
  }
}

export function raw(text: JsonText): RawJson {
  return new RawJson(text);
}

/** JSON that is made while it is sent: a member of an answer that may be larger than memory is. */
export class StreamedJson {
  readonly pieces: AsyncIterable<JsonText>;

  constructor(pieces: AsyncIterable<JsonText>) {
    this.pieces = pieces;
  }
}

/** The members of an object some of which are streamed; undefined: none is. */
export function streamedMembers(value: unknown): [string, unknown][] | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const members = Object.entries(value);
  return members.some(([, member]) => member instanceof StreamedJson) ? members : undefined;
}

/** The text of an answer with these members, piece by piece. */
export async function* jsonPieces(
  members: readonly (readonly [string, unknown])[],
): AsyncGenerator<JsonText> {
  let separator = "{";
  for (const [name, member] of members) {
    if (member === undefined) continue;
    const start = `${separator}${JSON.stringify(name)}:`;
    separator = ",";
    if (member instanceof StreamedJson) {
      yield start;
      yield* member.pieces;
    } else {
      yield start + toJsonText(member);
    }
  }
  yield "}\n";
}

/**
 * Like JSON.stringify, but for RawJson. Members that are undefined are left out. Texts are added to
 * each other and never joined, which would copy a large one at each level.
 */
export function toJsonText(value: unknown): JsonText {
  if (value instanceof RawJson) return value.text;
  if (isExactNumber(value)) return value.rawJSON;
  if (Array.isArray(value)) return `[${value.map(toJsonText).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  let members = "";
  for (const [name, member] of Object.entries(value)) {
    if (member === undefined) continue;
    members += `${members === "" ? "" : ","}${JSON.stringify(name)}:${toJsonText(member)}`;
  }
  return `{${members}}`;
}

/** A moment as REST shows it: ISO 8601 in UTC. */
export function moment(at: number): string;
export function moment(at: number | undefined): string | undefined;
export function moment(at: number | undefined): string | undefined {
  return at === undefined ? undefined : new Date(at).toISOString();
}
