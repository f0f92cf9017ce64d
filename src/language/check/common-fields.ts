/** The fields that every action has, and their readers. */
import { limits } from "../../base/limits.ts";
import type { Json } from "../../model/json.ts";
import { boolean, type FieldList, isObject, oneOf, type Reader } from "../readers/fields.ts";
import { below, nearestHint, quoted, shown } from "../readers/report.ts";

const reservedIds: ReadonlySet<string> = new Set([
  "input",
  "execution",
  "item",
  "index",
  "route",
  "last",
  "iteration",
]);
const wordId = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;
const idForm = `an integer from 0 to ${limits.actionIdNumberMax}, or a word of letters, digits, _ and - that begins with a letter or _`;

const id: Reader = (value, pointer, report) => {
  if (typeof value === "string" && reservedIds.has(value)) {
    report.problem(pointer, `The id ${quoted(value)} is reserved; choose another.`);
    return undefined;
  }
  return soughtId(value, pointer, report);
};

/** An id where it only points at an action: whether there is one is checked with the graph. */
export const soughtId: Reader = (value, pointer, report) => {
  if (typeof value === "string" && wordId.test(value)) return value;
  if (Number.isInteger(value) && Number(value) >= 0 && Number(value) <= limits.actionIdNumberMax) {
    return Number(value);
  }
  const unquoted = typeof value === "string" && /^\d+$/.test(value) ? " Leave the quotes out." : "";
  report.problem(pointer, `An id must be ${idForm}, not ${shown(value)}.${unquoted}`);
  return undefined;
};

const routes: Reader = (value, pointer, report) => {
  if (!isObject(value)) {
    const message = `It must be an object such as {"default": 6}, not ${shown(value)}.`;
    report.problem(pointer, message);
    return undefined;
  }
  const names = Object.keys(value);
  if (names.length > limits.routesPerActionMax) {
    const message = `It has ${names.length} routes; at most ${limits.routesPerActionMax} are allowed.`;
    report.problem(pointer, message);
  }
  const entries = names.map((name): [string, Json] => {
    const at = below(pointer, name);
    if (name.length > limits.routeNameCharsMax) {
      const most = `at most ${limits.routeNameCharsMax} are allowed`;
      report.problem(pointer, `The route ${quoted(name)} has ${name.length} characters; ${most}.`);
    }
    return [name, targets(value[name], at, report) ?? []];
  });
  return Object.fromEntries(entries);
};

/** Places in a list are kept, so that pointers stay right: a target that is wrong becomes null. */
const targets: Reader = (value, pointer, report) => {
  if (!Array.isArray(value)) return soughtId(value, pointer, report);
  if (value.length > limits.definitionActionsMax) {
    const most = limits.definitionActionsMax;
    report.problem(pointer, `It lists ${value.length} actions; at most ${most} are allowed.`);
    return undefined;
  }
  return value.map((target, index) => soughtId(target, below(pointer, index), report) ?? null);
};

const join: Reader = (value, pointer, report) => {
  if (value === "all" || value === "any" || value === "settled") return value;
  if (Number.isInteger(value) && Number(value) >= 1) return Number(value);
  report.problem(pointer, () => {
    const hint = typeof value === "string" ? nearestHint(value, ["all", "any", "settled"]) : "";
    const allowed = `"all", "any", "settled" or a number of edges from 1`;
    return `It must be ${allowed}, not ${shown(value)}${hint}.`;
  });
  return undefined;
};

export const commonFields: FieldList = [
  ["id", id],
  ["type", oneOf(["user", "system"])],
  ["next", routes],
  ["onError", routes],
  ["optional", boolean],
  ["join", join],
  ["strict", boolean],
];
