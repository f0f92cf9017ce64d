/** Checks one action by itself: its fields, by its kind. What spans actions is in graph-rules.ts. */
import { systemKinds } from "../../model/definition.ts";
import { kindNames, systemKindOf } from "../kinds.ts";
import {
  commonFields,
  type FieldList,
  type Kind,
  kindFields,
  requiredFields,
} from "./action-fields.ts";
import {
  type Fields,
  isObject,
  memberOf,
  type Reader,
  type ReadObject,
  readObject,
} from "./fields.ts";
import { below, nearestHint, quoted, type Report, shown } from "./report.ts";
import { template } from "./templates.ts";

const kindName: Reader = (value) => systemKindOf(String(value));

const tables: ReadonlyMap<Kind, Fields> = new Map(
  (["user", ...systemKinds] as const).map((kind): [Kind, Fields] => [
    kind,
    new Map([...commonFields, ["name", kindName], ["parameters", template], ...kindFields[kind]]),
  ]),
);

/** For each field that only some kinds have, which these are. */
const kindsByField: ReadonlyMap<string, readonly Kind[]> = ownersOfFields();

function ownersOfFields(): Map<string, Kind[]> {
  const owners = new Map<string, Kind[]>();
  for (const [kind, fields] of Object.entries(kindFields) as [Kind, FieldList][]) {
    for (const [field] of fields) owners.set(field, [...(owners.get(field) ?? []), kind]);
  }
  return owners;
}

/** What the kind of an action cannot be told by: only what all actions have is checked then. */
const anyKind: Fields = new Map([
  ...[...kindsByField.keys()].map((field): [string, Reader] => [field, () => undefined]),
  ...commonFields,
  ["name", () => undefined],
  ["parameters", template],
]);

const notBuilt: ReadonlySet<Kind> = new Set(["workflow", "map", "loop", "terminate", "signal"]);

export function readAction(
  value: unknown,
  pointer: string,
  report: Report,
): ReadObject | undefined {
  const kind = isObject(value) ? kindOf(value, pointer, report) : undefined;
  if (kind === undefined) {
    const rules = { what: "An action", fields: anyKind, required: ["id", "type", "name"] };
    return readObject(value, pointer, report, rules);
  }
  const what = kind === "user" ? "A user action" : `A ${kind} action`;
  const read = readObject(value, pointer, report, {
    what,
    fields: tables.get(kind)!,
    required: ["id", "type", "name", ...requiredFields[kind]],
    elsewhere: (field) => {
      const owners = kindsByField.get(field);
      return owners && `${what} has no field ${quoted(field)}; only ${listed(owners)} actions do.`;
    },
  });
  if (read === undefined) return undefined;
  if (notBuilt.has(kind)) {
    const message = `${what} is not implemented yet: it will fail with NOT_IMPLEMENTED.`;
    report.warning(pointer, message);
  }
  // What old definitions leave empty counts as absent; what is wrong was told already.
  const given = report.lenient ? read : value;
  if (kind === "delay") eitherOr(given, ["delaySeconds", "until"], pointer, report);
  if (kind === "map") eitherOr(given, ["action", "workflow"], pointer, report);
  checkRoutes(kind, read, pointer, report);
  return read;
}

function listed(words: readonly string[]): string {
  if (words.length === 1) return words[0]!;
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** Undefined when type or name do not tell; what is wrong with the name is told here. */
function kindOf(
  value: Readonly<Record<string, unknown>>,
  pointer: string,
  report: Report,
): Kind | undefined {
  const [type, name] = ["type", "name"].map((field) => memberOf(value, field, report));
  const lower = typeof type === "string" ? type.toLowerCase() : undefined;
  if (lower === "user") return "user";
  if (lower !== "system" || name === undefined) return undefined;
  const kind = typeof name === "string" ? systemKindOf(name) : undefined;
  if (kind !== undefined) return kind;
  report.problem(below(pointer, "name"), () => {
    const hint = typeof name === "string" ? nearestHint(name, kindNames) : "";
    const kinds = systemKinds.join(", ");
    return `There is no system action named ${shown(name)}${hint}. There are: ${kinds}.`;
  });
  return undefined;
}

/** Exactly one of two fields must be there. */
function eitherOr(
  value: unknown,
  fields: readonly [string, string],
  pointer: string,
  report: Report,
): void {
  const [one, other] = fields.map(
    (field) => isObject(value) && (memberOf(value, field, report) ?? null) !== null,
  );
  if (one !== other) return;
  const found = one ? "has both" : "has neither";
  const [first, second] = fields.map(quoted);
  report.problem(pointer, `It must have exactly one of ${first} and ${second}; it ${found}.`);
}

/** Routes that cannot be taken, where that can be known; what leads nowhere else would never run. */
function checkRoutes(kind: Kind, read: ReadObject, pointer: string, report: Report): void {
  warnOfMisspeltDefault("onError", read, pointer, report);
  if (kind === "switch" || kind === "javascript") {
    warnOfMisspeltDefault("next", read, pointer, report);
    return;
  }
  const next = isObject(read.next) ? Object.keys(read.next) : [];
  if (kind === "wait") {
    checkWaitRoutes(read, next, pointer, report);
    return;
  }
  for (const route of next) {
    if (route === "default") continue;
    const at = below(below(pointer, "next"), route);
    report.superfluous(at, `It is never taken: a ${kind} action only takes the route "default".`);
  }
}

function checkWaitRoutes(
  read: ReadObject,
  next: readonly string[],
  pointer: string,
  report: Report,
): void {
  if (read.event === undefined) return;
  const events = [read.event].flat() as string[];
  for (const route of next) {
    if (route === "default" || events.includes(route)) continue;
    const at = below(below(pointer, "next"), route);
    if (route !== "timeout") {
      report.problem(at, () => {
        const hint = nearestHint(route, [...events, "timeout", "default"]);
        return `The wait has no event ${quoted(route)}${hint}.`;
      });
    } else if (read.timeoutSeconds === undefined) {
      report.superfluous(at, `It is never taken: the wait has no "timeoutSeconds".`);
    }
  }
}

/** Routes that data, scripts or workers name may have any name. */
function warnOfMisspeltDefault(
  field: "next" | "onError",
  read: ReadObject,
  pointer: string,
  report: Report,
): void {
  const names = isObject(read[field]) ? Object.keys(read[field]) : [];
  if (names.includes("default")) return;
  const misspelt = names.find((name) => nearestHint(name, ["default"]) !== "");
  if (misspelt === undefined) return;
  const at = below(below(pointer, field), misspelt);
  report.warning(at, `It is not the route "default"; perhaps that is meant.`);
}
