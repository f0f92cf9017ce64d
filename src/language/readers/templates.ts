/**
 * Readers of templates, references and scripts: what they refer to is gathered, and checked with
 * the graph; whether a script parses is checked by the sandbox.
 */
import { limits } from "../../base/limits.ts";
import type { Json } from "../../model/json.ts";
import { type ExactNumber, isExactNumber } from "../../model/numbers.ts";
import { parseMoment, timeZoneOf } from "../data/moment.ts";
import { hasFilter } from "../data/path-step.ts";
import {
  beginsReference,
  type Reference,
  ReferenceSyntaxError,
  withDefaults,
} from "../data/reference.ts";
import { parseString, parseWholeReference, type StringPart } from "../data/template.ts";
import { isObject, isSeconds, text } from "./fields.ts";
import { type Read, reader } from "./reader.ts";
import { below, nearestHint, type Report, shown } from "./report.ts";

/** Any JSON value. The depth has been checked before, so recursion is bounded. */
const readTemplate: Read = (value, pointer, report) => {
  if (typeof value === "string") {
    readString(value, pointer, report);
    return value;
  }
  if (Array.isArray(value)) {
    return value.map((item, index) => readTemplate(item, below(pointer, index), report) ?? null);
  }
  if (isObject(value)) {
    const entries = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]): [string, Json] => [
        key,
        readTemplate(member, below(pointer, key), report) ?? null,
      ]);
    return Object.fromEntries(entries);
  }
  if (isExactNumber(value)) return exactNumber(value, pointer, report);
  if (value === null || typeof value === "boolean" || Number.isFinite(value)) return value as Json;
  report.problem(pointer, `It must be a JSON value, not ${shown(value)}.`);
  return undefined;
};

export const template = reader({}, readTemplate);

function exactNumber(value: ExactNumber, pointer: string, report: Report): Json | undefined {
  report.exactNumber ??= pointer;
  if (Number.isFinite(Number(value.rawJSON))) return value;
  const message = `The number ${shown(value)} is too large for most JSON parsers; write it as a string.`;
  report.problem(pointer, message);
  return undefined;
}

/** What other systems write for a reference, and which is plain text here. */
const foreignReference = /(?<!\$)\$\{[^{}]*\}|\{\{[^{}]*\}\}/;

function warnOfForeign(value: string, pointer: string, report: Report): void {
  const found = foreignReference.exec(value)?.[0];
  if (found === undefined) return;
  const isReference = found.startsWith("{{") && beginsReference(found, 2);
  const stays = isReference ? "keeps one pair of its braces" : "is passed on as it is";
  const form = "a reference in a text is written {$.input.name}";
  report.warning(pointer, `${shown(found)} ${stays}: ${form}.`);
}

/** Undefined, with a problem reported, when it does not parse. */
function readString(
  value: string,
  pointer: string,
  report: Report,
): readonly StringPart[] | undefined {
  if (!report.hasRoomForReferences(referencesAtMost(value), pointer)) return undefined;
  warnOfForeign(value, pointer, report);
  try {
    const parts = parseString(value);
    for (const part of parts) {
      if (typeof part !== "string") note(part, pointer, report);
    }
    return parts;
  } catch (error) {
    if (!(error instanceof ReferenceSyntaxError)) throw error;
    report.problem(pointer, error.message);
    return undefined;
  }
}

function referencesAtMost(text: string): number {
  if (!text.includes("$")) return 0;
  return 1 + (text.match(/\{\$(?!\$)|\?\?/g)?.length ?? 0);
}

/** Keeps a reference with its defaults, and those in filters, for the checks of the graph. */
function note(reference: Reference, pointer: string, report: Report): void {
  if (reference.otherwise !== undefined) {
    report.isNew({ pointer, what: "A reference with a default", format: 4 });
  }
  for (const one of withDefaults(reference)) noteOne(one, pointer, report);
}

function noteOne(reference: Reference, pointer: string, report: Report): void {
  report.references.push({ pointer, reference });
  if (hasFilter(reference.steps)) {
    report.isNew({ pointer, what: "A reference with a filter", format: 3 });
  }
  if (!report.hasRoomForReferences(reference.outer.size, pointer)) return;
  for (const outer of reference.outer.values()) note(outer, pointer, report);
}

/** What text without references stands for; undefined where it has some, or does not parse. */
export function literalText(value: string): string | undefined {
  try {
    const parts = parseString(value);
    return parts.every((part) => typeof part === "string") ? parts.join("") : undefined;
  } catch (error) {
    if (!(error instanceof ReferenceSyntaxError)) throw error;
    return undefined;
  }
}

/** Whether text refers to no data. What does not parse does not count: its reader reports it. */
export function isLiteral(value: string): boolean {
  return literalText(value) !== undefined;
}

/** A pattern of what `parseWholeReference` may take. */
const referenceText = { type: "string", pattern: String.raw`^\{?\$` };

/** Exactly one reference, or one in braces. */
export const reference = reader(referenceText, (value, pointer, report) => {
  if (typeof value !== "string") {
    const message = `It must be a reference such as "$.input.status", not ${shown(value)}.`;
    report.problem(pointer, message);
    return undefined;
  }
  if (!report.hasRoomForReferences(referencesAtMost(value), pointer)) return undefined;
  try {
    note(parseWholeReference(value), pointer, report);
    return value;
  } catch (error) {
    if (!(error instanceof ReferenceSyntaxError)) throw error;
    report.problem(pointer, error.message);
    return undefined;
  }
});

/** An object, or a reference that may find one. */
const objectSchema = { anyOf: [{ type: "object" }, referenceText] };
export const objectTemplate = reader(objectSchema, (value, pointer, report) => {
  if (isObject(value)) return template(value, pointer, report);
  if (typeof value === "string") {
    const parts = readString(value, pointer, report);
    if (parts === undefined || isReference(parts)) return value;
  }
  refuseAsObject(value, pointer, report);
  return undefined;
});

/** For templates that have been read already: what can be no object is refused. */
export function mustBeObject(value: unknown, pointer: string, report: Report): void {
  const mayBeObject = isObject(value) || (typeof value === "string" && !isLiteral(value));
  if (!mayBeObject) refuseAsObject(value, pointer, report);
}

function refuseAsObject(value: unknown, pointer: string, report: Report): void {
  report.problem(pointer, `It must be an object, or one reference to one, not ${shown(value)}.`);
}

function isReference(parts: readonly StringPart[]): parts is readonly [Reference] {
  return parts.length === 1 && typeof parts[0] === "object";
}

/** A number of seconds, or text that becomes one. */
const textOrSeconds = {
  anyOf: [
    { type: "number", minimum: 0, maximum: limits.secondsMax },
    { type: "string", minLength: 1 },
  ],
};
export const secondsTemplate = reader(textOrSeconds, (value, pointer, report) => {
  if (typeof value === "string") {
    const parts = readString(value, pointer, report);
    if (parts === undefined || parts.some((part) => typeof part === "object")) return value;
    if (value.trim() !== "" && isSeconds(Number(value))) return value;
  }
  if (typeof value === "number" && isSeconds(value)) return value;
  if (isExactNumber(value) && isSeconds(Number(value.rawJSON))) return value;
  report.problem(
    pointer,
    `It must be a number of seconds from 0 to ${limits.secondsMax}, or a template for one, not ${shown(value)}.`,
  );
  return undefined;
});

/** A moment in ISO 8601, or text that becomes one. */
const momentText = { type: "string", minLength: 1 };
export const momentTemplate = reader(momentText, (value, pointer, report) => {
  if (typeof value === "string" && !isLiteral(value)) return template(value, pointer, report);
  if (typeof value === "string" && parseMoment(literalText(value)!) !== undefined) return value;
  const example = '"2030-01-31T12:00:00Z"';
  const message = `It must be an ISO 8601 time such as ${example}, or a template for one, not ${shown(value)}.`;
  report.problem(pointer, message);
  return undefined;
});

/** The name of a time zone, or text that becomes one. */
export const timeZoneTemplate = reader(momentText, (value, pointer, report) => {
  if (typeof value === "string" && !isLiteral(value)) return template(value, pointer, report);
  if (typeof value === "string" && timeZoneOf(value) !== undefined) return value;
  report.problem(pointer, () => {
    const known = Intl.supportedValuesOf("timeZone");
    const hint = typeof value === "string" ? nearestHint(value, known) : "";
    return `It must be a time zone such as "Europe/Berlin", or a template for one, not ${shown(value)}${hint}.`;
  });
  // That there is one, however wrong, counts where the time is checked.
  return typeof value === "string" ? value : undefined;
});

const scriptText = text(limits.expressionCharsMax);
export const script = reader(scriptText.schema, (value, pointer, report) => {
  const read = scriptText(value, pointer, report);
  if (typeof read === "string") report.scripts.push({ pointer, expression: read });
  return read;
});
