/** The text of a reference with defaults, taken apart: `$.input.a ?? $.input.b ?? 0`. */
import { isTooDeep } from "../../base/json-shape.ts";
import { limits } from "../../base/limits.ts";
import { cut } from "./cut.ts";
import { ReferenceSyntaxError } from "./path-text.ts";

/** What stands before, between and after the marks. Throws ReferenceSyntaxError. */
export function splitDefaults(text: string): string[] {
  const parts: string[] = [];
  let from = 0;
  for (let at = findOutside(text, 0, "??"); at >= 0; at = findOutside(text, from, "??")) {
    parts.push(text.slice(from, at));
    from = at + 2;
    if (parts.length <= limits.pathDefaultsMax) continue;
    fail(`${shown(text)} has more than ${limits.pathDefaultsMax} defaults.`);
  }
  parts.push(text.slice(from));
  return parts;
}

/** Whether it is valid JSON of numbers that most parsers can take, and not nested too deeply. */
export function isJson(text: string): boolean {
  if (isTooDeep(text, limits.jsonDepthMax)) return false;
  let fits = true;
  try {
    JSON.parse(text, (_name, value) => {
      if (typeof value === "number" && !Number.isFinite(value)) fits = false;
      return value;
    });
    return fits;
  } catch {
    return false;
  }
}

/** Position of the first such mark from `from` on outside quotes, brackets and braces; or -1. */
export function findOutside(text: string, from: number, mark: "??" | "}"): number {
  let quote = "";
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const next = text[at]!;
    if (quote !== "") {
      if (next === "\\") at++;
      else if (next === quote) quote = "";
    } else if (depth <= 0 && text.startsWith(mark, at)) return at;
    // Single quotes are for names, in brackets; outside they have no meaning.
    else if (next === '"' || (next === "'" && depth > 0)) quote = next;
    else if (next === "[" || next === "{") depth++;
    else if (next === "]" || next === "}") depth--;
  }
  return -1;
}

/** For a sentence. */
export function shown(text: string): string {
  return JSON.stringify(cut(text));
}

export function fail(message: string): never {
  throw new ReferenceSyntaxError(message);
}
