/**
 * Readers: each checks one value and returns it in the form that the engine uses, or reports what
 * is wrong with it and returns undefined. Objects are read by a table of their fields.
 */
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import type { Json } from "../../model/json.ts";
import {
  actionNameForm,
  innerQueue,
  isActionName,
  noControlsPattern,
  plainNameForm,
  plainNamePattern,
  reservedWorkflowNames,
} from "../../model/names.ts";
import { isExactNumber } from "../../model/numbers.ts";
import { anyCase, type Fields, type JsonSchema, type Read, type Reader, reader } from "./reader.ts";
import { below, nearestHint, quoted, Report, shown } from "./report.ts";

export type ReadObject = { readonly [field: string]: Json };

interface ObjectRules {
  /** For messages: `an action`. */
  readonly what: string;
  readonly fields: Fields;
  readonly required?: readonly string[];
  /** The name of a field that may be spelled in several ways. */
  readonly nameOf?: (spelled: string) => string;
  /** Why a field that exists elsewhere may not stand here; undefined: it exists nowhere. */
  readonly elsewhere?: (field: string) => string | undefined;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return !isExactNumber(value);
}

/** Wrong fields are reported and left out of the result. */
export function readObject(
  value: unknown,
  pointer: string,
  report: Report,
  rules: ObjectRules,
): ReadObject | undefined {
  if (!isObject(value)) {
    report.problem(pointer, `${rules.what} must be an object, not ${shown(value)}.`);
    return undefined;
  }
  const entries = new Map<string, Json | undefined>();
  for (const [spelled, member] of Object.entries(value)) {
    if (member === undefined) continue;
    const at = below(pointer, spelled);
    const field = fieldOf(spelled, report, rules);
    const reader = rules.fields.get(field);
    if (report.lenient && !rules.required?.includes(field) && isUnset(member, reader)) continue;
    if (reader === undefined) {
      unknownField(spelled, at, report, rules);
      continue;
    }
    if (entries.has(field))
      report.problem(at, `It is given twice, also as ${quoted(field)}; keep one.`);
    entries.set(field, reader(member, at, report));
  }
  for (const field of rules.required ?? []) {
    if (!entries.has(field))
      report.problem(pointer, `${rules.what} needs the field ${quoted(field)}.`);
  }
  const read = [...entries].filter((entry): entry is [string, Json] => entry[1] !== undefined);
  return Object.fromEntries(read);
}

/** Old definitions may spell a field in any letter case. */
function fieldOf(spelled: string, report: Report, { nameOf, fields }: ObjectRules): string {
  const name = nameOf?.(spelled) ?? spelled;
  if (!report.lenient || fields.has(name)) return name;
  const lower = spelled.toLowerCase();
  return findName(nameOf?.(lower) ?? lower, fields.keys()) ?? name;
}

function findName(name: string, known: Iterable<string>): string | undefined {
  const wanted = name.toLowerCase();
  for (const one of known) if (one.toLowerCase() === wanted) return one;
  return undefined;
}

/** The value of a field, which old definitions may spell in any letter case. */
export function memberOf(
  value: Readonly<Record<string, unknown>>,
  field: string,
  report: Report,
): unknown {
  if (!report.lenient || Object.hasOwn(value, field)) return value[field];
  const spelled = findName(field, Object.keys(value));
  return spelled === undefined ? undefined : value[spelled];
}

/**
 * Old definitions were written out with null, an empty text or 0 for what is absent. Where such a value
 * would be a proper one, it stands for itself.
 */
function isUnset(member: unknown, reader: Read | undefined): boolean {
  if (member === null) return true;
  if (member !== "" && member !== 0) return false;
  const trial = new Report(true);
  reader?.(member, "", trial);
  return reader === undefined || trial.failed || trial.warnings.length > 0;
}

function unknownField(field: string, at: string, report: Report, rules: ObjectRules): void {
  const dropped = report.lenient ? " It is ignored." : "";
  report.superfluous(at, () => {
    const reason = rules.elsewhere?.(field);
    if (reason !== undefined) return `${reason}${dropped}`;
    const hint = nearestHint(field, [...rules.fields.keys()]);
    return `${rules.what} has no field ${quoted(field)}${hint}.${dropped}`;
  });
}

export const boolean = reader({ type: "boolean" }, (value, pointer, report) => {
  if (typeof value === "boolean") return value;
  report.problem(pointer, `It must be true or false, not ${shown(value)}.`);
  return undefined;
});

export function integer(lowest: number, highest: number): Reader {
  const schema = { type: "integer", minimum: lowest, maximum: highest };
  return reader(schema, (value, pointer, report) => {
    if (Number.isInteger(value) && Number(value) >= lowest && Number(value) <= highest) {
      return Number(value);
    }
    const range = `from ${lowest} to ${highest}`;
    report.problem(pointer, `It must be an integer ${range}, not ${shown(value)}.`);
    return undefined;
  });
}

/** A number that is a rule of the engine and not data: the nearest double is near enough. */
export function number(lowest: number, highest: number): Reader {
  const schema = { type: "number", minimum: lowest, maximum: highest };
  return reader(schema, (given, pointer, report) => {
    const value = isExactNumber(given) ? Number(given.rawJSON) : given;
    if (typeof value === "number" && value >= lowest && value <= highest) return value;
    const range = `from ${lowest} to ${highest}`;
    report.problem(pointer, `It must be a number ${range}, not ${shown(given)}.`);
    return undefined;
  });
}

export function isSeconds(number: number): boolean {
  return number >= 0 && number <= limits.secondsMax;
}

/** Fractions are allowed; 0 means none. */
export const seconds = number(0, limits.secondsMax);

/** A time that must not be nothing; old definitions write 0 for what is not set. */
const moreThanNone = { type: "number", exclusiveMinimum: 0, maximum: limits.secondsMax };
export const someSeconds = reader(moreThanNone, (value, pointer, report) => {
  if (value === 0) {
    report.superfluous(pointer, "It must be more than 0 seconds; leave it out for the default.");
    return undefined;
  }
  return seconds(value, pointer, report);
});

export function text(longest: number, pattern?: { matches: RegExp; says: string }): Reader {
  const schema = {
    type: "string",
    minLength: 1,
    maxLength: longest,
    ...defined({ pattern: pattern?.matches.source }),
  };
  return reader(schema, (value, pointer, report) => {
    const says = pattern?.says ?? `text of 1 to ${longest} characters`;
    const fits = typeof value === "string" && value.length > 0 && value.length <= longest;
    if (fits && (pattern === undefined || pattern.matches.test(value))) return value;
    report.problem(pointer, `It must be ${says}, not ${shown(value)}.`);
    return undefined;
  });
}

/** Names of workflows. */
const plainName = text(limits.nameCharsMax, {
  matches: plainNamePattern,
  says: `a name of ${plainNameForm}`,
});

/** The name of a workflow that is to run: it may not be there. */
export const otherWorkflow = reader(plainName.schema, (value, pointer, report) => {
  const name = plainName(value, pointer, report);
  if (typeof name === "string") report.workflows.push({ pointer, name });
  return name;
});

function except({ schema }: Reader, reserved: readonly string[]): JsonSchema {
  return { ...schema, not: { enum: reserved } };
}

/** Names of queues. */
export const queueName = reader(except(plainName, [innerQueue]), (value, pointer, report) => {
  if (value !== innerQueue) return plainName(value, pointer, report);
  const message = `The queue ${quoted(innerQueue)} is reserved for the server itself. Choose another.`;
  report.problem(pointer, message);
  return undefined;
});

/** Names of user actions. */
const actionNameSchema = {
  type: "string",
  minLength: 1,
  maxLength: limits.nameCharsMax,
  pattern: noControlsPattern.source,
  not: { enum: [".", ".."] },
};
export const actionName = reader(actionNameSchema, (value, pointer, report) => {
  if (typeof value === "string" && isActionName(value)) return value;
  report.problem(pointer, `It must be a name of ${actionNameForm}, not ${shown(value)}.`);
  return undefined;
});

/** The name by which a workflow is saved. */
const workflowNameSchema = except(plainName, [...reservedWorkflowNames]);
export const workflowName = reader(workflowNameSchema, (value, pointer, report) => {
  if (typeof value === "string" && reservedWorkflowNames.has(value)) {
    const message = `The name ${quoted(value)} is reserved: it is part of a path. Choose another.`;
    report.problem(pointer, message);
    return undefined;
  }
  return plainName(value, pointer, report);
});

/** What a wait waits for, and a signal sends. */
export const eventName = text(limits.eventNameCharsMax);

export const version = integer(1, Number.MAX_SAFE_INTEGER);

const anyText = { type: "string", maxLength: limits.descriptionCharsMax };
export const description = reader(anyText, (value, pointer, report) => {
  if (typeof value === "string" && value.length <= limits.descriptionCharsMax) return value;
  const longest = limits.descriptionCharsMax;
  report.problem(pointer, `It must be text of at most ${longest} characters.`);
  return undefined;
});

/** `$schema` is for editors: it is left out of what is stored, so a change of it is none. */
export const schemaReference = reader({ type: "string" }, (value, pointer, report) => {
  if (typeof value === "string") return undefined;
  report.problem(pointer, `It must be the address of a JSON Schema, not ${shown(value)}.`);
  return undefined;
});

/** One of some words, in any letter case. */
export function oneOf(words: readonly string[]): Reader {
  return reader(anyCase(words), (value, pointer, report) => {
    const wanted = typeof value === "string" ? value.toLowerCase() : undefined;
    const found = words.find((word) => word.toLowerCase() === wanted);
    if (found !== undefined) return found;
    report.problem(pointer, () => {
      const hint = typeof value === "string" ? nearestHint(value, words) : "";
      return `It must be one of ${words.map(quoted).join(", ")}, not ${shown(value)}${hint}.`;
    });
    return undefined;
  });
}

export function listOf(item: Reader, most: number): Reader {
  const schema = { type: "array", items: item.schema, maxItems: most };
  return reader(schema, (value, pointer, report) => {
    if (!Array.isArray(value) || value.length > most) {
      const found = Array.isArray(value) ? `${value.length} elements` : shown(value);
      report.problem(pointer, `It must be an array of at most ${most} elements, not ${found}.`);
      return undefined;
    }
    const items = value.map((element, index) => item(element, below(pointer, index), report));
    return items.filter((element) => element !== undefined);
  });
}
