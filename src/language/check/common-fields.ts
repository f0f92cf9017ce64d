/** The fields that every action has, and their readers. */

import { limits } from "../../base/limits.ts";
import type { Json } from "../../model/json.ts";
import { wordIdForm, wordIdPattern } from "../../model/names.ts";
import { boolean, isObject, oneOf, readObject } from "../readers/fields.ts";
import { type FieldList, fieldMap, propertiesOf, reader } from "../readers/reader.ts";
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
const idForm = `an integer from 0 to ${limits.actionIdNumberMax}, or ${wordIdForm}`;

const idSchema = {
  anyOf: [
    { type: "integer", minimum: 0, maximum: limits.actionIdNumberMax },
    { type: "string", pattern: wordIdPattern.source },
  ],
};

/** An id that points at an action: that the action exists is checked with the graph. */
export const soughtId = reader(idSchema, (value, pointer, report) => {
  if (typeof value === "string" && wordIdPattern.test(value)) return value;
  if (Number.isInteger(value) && Number(value) >= 0 && Number(value) <= limits.actionIdNumberMax) {
    return Number(value);
  }
  const unquoted = typeof value === "string" && /^\d+$/.test(value) ? " Leave the quotes out." : "";
  report.problem(pointer, `An id must be ${idForm}, not ${shown(value)}.${unquoted}`);
  return undefined;
});

const ownId = { ...idSchema, not: { enum: [...reservedIds] } };
const id = reader(ownId, (value, pointer, report) => {
  if (typeof value === "string" && reservedIds.has(value)) {
    report.problem(pointer, `The id ${quoted(value)} is reserved; choose another.`);
    return undefined;
  }
  return soughtId(value, pointer, report);
});

/** Places in a list are kept, so that pointers stay right: a target that is wrong becomes null. */
const targets = reader(
  { anyOf: [idSchema, { type: "array", items: idSchema, maxItems: limits.definitionActionsMax }] },
  (value, pointer, report) => {
    if (!Array.isArray(value)) return soughtId(value, pointer, report);
    if (value.length > limits.definitionActionsMax) {
      const most = limits.definitionActionsMax;
      report.problem(pointer, `It lists ${value.length} actions; at most ${most} are allowed.`);
      return undefined;
    }
    return value.map((target, index) => soughtId(target, below(pointer, index), report) ?? null);
  },
);

/** `next` of kinds that take no other route. */
export const defaultRouteSchema = {
  type: "object",
  properties: { default: targets.schema },
  additionalProperties: false,
};
const routesSchema = {
  type: "object",
  properties: { default: targets.schema },
  additionalProperties: targets.schema,
  propertyNames: { maxLength: limits.routeNameCharsMax },
  maxProperties: limits.routesPerActionMax,
};

const routes = reader(routesSchema, (value, pointer, report) => {
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
});

const edgeCount = { type: "integer", minimum: 1 };
const count = reader({ anyOf: [{ enum: ["any"] }, edgeCount] }, (value, pointer, report) => {
  if (value === "any" || isEdgeCount(value)) return value;
  report.problem(pointer, `It must be "any" or a number of edges from 1, not ${shown(value)}.`);
  return undefined;
});
const cancelRest = reader({ type: "boolean" }, (value, pointer, report) => {
  if (value === true) return value;
  const instead = `for a join that lets the rest go on, "join" is the count itself`;
  report.problem(pointer, `It must be true, not ${shown(value)}; ${instead}.`);
  return undefined;
});
const raceFields: FieldList = [
  ["count", count, "How many edges it waits for."],
  ["cancelRest", cancelRest, "Once it is decided, what is still on its way to it ends."],
];
const raceRules = {
  what: "A join that cancels the rest",
  fields: fieldMap(raceFields),
  required: raceFields.map(([name]) => name),
};
const raceSchema = {
  type: "object",
  properties: propertiesOf(raceFields),
  required: raceRules.required,
  additionalProperties: false,
};
const joinNames = ["all", "succeeded", "any", "settled"];
const joinSchema = { anyOf: [{ enum: joinNames }, edgeCount, raceSchema] };
const join = reader(joinSchema, (value, pointer, report) => {
  if (isObject(value)) {
    report.isNew({ pointer, what: "A join that cancels the rest", format: 4 });
    return readObject(value, pointer, report, raceRules);
  }
  if (value === "succeeded") report.isNew({ pointer, what: `A join "succeeded"`, format: 4 });
  if (typeof value === "string" && joinNames.includes(value)) return value;
  if (isEdgeCount(value)) return value;
  report.problem(pointer, () => {
    const hint = typeof value === "string" ? nearestHint(value, joinNames) : "";
    const names = joinNames.map(quoted).join(", ");
    const allowed = `${names}, a number of edges from 1 or {"count": …, "cancelRest": true}`;
    return `It must be ${allowed}, not ${shown(value)}${hint}.`;
  });
  return undefined;
});

function isEdgeCount(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 1;
}

export const commonFields: FieldList = [
  ["id", id, "Names the action in this workflow: an integer or a word."],
  ["type", oneOf(["user", "system"]), "user: runs in a worker. system: runs in the server."],
  ["next", routes, "What follows, by route; without it the branch ends here."],
  ["onError", routes, "What follows when it has finally failed, by error code or `default`."],
  ["optional", boolean, "A final failure counts as completed."],
  ["join", join, "Which incoming edges it waits for; `all` when absent."],
  ["strict", boolean, "A reference that finds nothing fails the action."],
];
