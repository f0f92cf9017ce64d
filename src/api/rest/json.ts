/** JSON answers by assembly: payloads are put in as the text they are, never parsed again. */
import type { JsonText } from "../../model/json.ts";

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

/**
 * Like JSON.stringify, but for RawJson. Members that are undefined are left out. Texts are added to
 * each other and never joined, which would copy a large one at each level.
 */
export function toJsonText(value: unknown): JsonText {
  if (value instanceof RawJson) return value.text;
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
