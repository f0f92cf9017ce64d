/** The fields of actions, by their kinds, and the readers that only actions need. */
import { limits } from "../../base/limits.ts";
import type { SystemKind } from "../../model/definition.ts";
import type { Json } from "../../model/json.ts";
import { retry, timeoutFields } from "./action-definition.ts";
import {
  actionName,
  boolean,
  integer,
  isObject,
  oneOf,
  plainName,
  type Reader,
  text,
} from "./fields.ts";
import { below, nearestHint, quoted, shown } from "./report.ts";
import {
  momentTemplate,
  objectTemplate,
  reference,
  secondsTemplate,
  template,
} from "./templates.ts";

export type Kind = SystemKind | "user";
export type FieldList = readonly (readonly [string, Reader])[];

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

const script: Reader = (value, pointer, report) => {
  const read = text(limits.expressionCharsMax)(value, pointer, report);
  if (typeof read === "string") report.scripts.push({ pointer, expression: read });
  return read;
};

const eventName = text(limits.eventNameCharsMax);

const waitedEvent: Reader = (value, pointer, report) => {
  if (value === "default" || value === "timeout") {
    report.problem(pointer, `The event name ${quoted(value)} is reserved for routes.`);
    return undefined;
  }
  return eventName(value, pointer, report);
};

const waitedEvents: Reader = (value, pointer, report) => {
  if (!Array.isArray(value)) return waitedEvent(value, pointer, report);
  if (value.length === 0 || value.length > limits.waitEventsMax) {
    const range = `1 to ${limits.waitEventsMax}`;
    report.problem(pointer, `It must list ${range} events, not ${value.length}.`);
    return undefined;
  }
  const names = value.map((name, index) => waitedEvent(name, below(pointer, index), report));
  return names.filter((name) => name !== undefined);
};

/** Old definitions say 0 where a wait has no end, which is the default. */
const waitSeconds: Reader = (value, pointer, report) =>
  report.lenient && value === 0 ? undefined : secondsTemplate(value, pointer, report);

const tolerated: Reader = (value, pointer, report) => {
  if (typeof value === "string" && /^(?:100|\d{1,2})(?:\.\d+)?%$/.test(value)) return value;
  if (Number.isInteger(value) && Number(value) >= 0) return Number(value);
  report.problem(pointer, `It must be a number or a share such as "20%", not ${shown(value)}.`);
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

const version = integer(1, Number.MAX_SAFE_INTEGER);

export const kindFields: Readonly<Record<Kind, FieldList>> = {
  user: [
    ["name", actionName],
    ["parameters", objectTemplate],
    ["queue", plainName],
    ["retry", retry],
    ...timeoutFields,
    ["priority", integer(limits.priorityMin, limits.priorityMax)],
  ],
  switch: [["expression", reference]],
  javascript: [["expression", script]],
  delay: [
    ["delaySeconds", secondsTemplate],
    ["until", momentTemplate],
  ],
  wait: [
    ["event", waitedEvents],
    ["timeoutSeconds", waitSeconds],
  ],
  transform: [],
  workflow: [
    ["workflow", plainName],
    ["version", version],
  ],
  map: [
    ["items", reference],
    ["action", actionName],
    ["workflow", plainName],
    ["version", version],
    ["maxConcurrency", integer(1, 1_000_000)],
    ["tolerate", tolerated],
  ],
  loop: [
    ["workflow", plainName],
    ["version", version],
    ["while", script],
    ["maxIterations", integer(1, Number.MAX_SAFE_INTEGER)],
  ],
  terminate: [
    ["status", oneOf(["COMPLETED", "FAILED"])],
    ["output", template],
    ["reason", template],
  ],
  signal: [
    ["executionId", template],
    ["event", eventName],
    ["payload", template],
  ],
};

export const requiredFields: Readonly<Record<Kind, readonly string[]>> = {
  user: [],
  switch: ["expression"],
  javascript: ["expression"],
  delay: [],
  wait: ["event"],
  transform: [],
  workflow: ["workflow"],
  map: ["items"],
  loop: ["workflow", "while", "maxIterations"],
  terminate: ["status"],
  signal: ["executionId", "event"],
};
