/** Checks one action by itself: its fields, by its kind. What spans actions is in graph-rules.ts. */
import {
  type Kind,
  kindList,
  kindOf,
  kinds,
  systemKindOf,
  systemKinds,
  systemNames,
} from "../kinds/table.ts";
import { isObject, memberOf, type ReadObject, readObject } from "../readers/fields.ts";
import { type Fields, fieldMap, type Read } from "../readers/reader.ts";
import { below, nearestHint, quoted, type Report, shown } from "../readers/report.ts";
import { template } from "../readers/templates.ts";
import { commonFields } from "./common-fields.ts";

const kindName: Read = (value) => systemKindOf(String(value));

const tables: ReadonlyMap<Kind, Fields> = new Map(
  kindList.map((kind): [Kind, Fields] => [
    kind,
    new Map([
      ...fieldMap(commonFields),
      ["name", kindName],
      ["parameters", template],
      ...fieldMap(kinds[kind].fields),
    ]),
  ]),
);

/** For each field that only some kinds have, which these are. */
const kindsByField: ReadonlyMap<string, readonly Kind[]> = ownersOfFields();

function ownersOfFields(): Map<string, Kind[]> {
  const owners = new Map<string, Kind[]>();
  for (const kind of kindList) {
    for (const [field] of kinds[kind].fields) {
      owners.set(field, [...(owners.get(field) ?? []), kind]);
    }
  }
  return owners;
}

/** Where the kind of an action is unknown, only what all actions have is checked. */
const anyKind: Fields = new Map([
  ...[...kindsByField.keys()].map((field): [string, Read] => [field, () => undefined]),
  ...fieldMap(commonFields),
  ["name", () => undefined],
  ["parameters", template],
]);

export function readAction(
  value: unknown,
  pointer: string,
  report: Report,
): ReadObject | undefined {
  const kind = isObject(value) ? readKind(value, pointer, report) : undefined;
  if (kind === undefined) {
    const rules = { what: "An action", fields: anyKind, required: ["id", "type", "name"] };
    return readObject(value, pointer, report, rules);
  }
  const what = kind === "user" ? "A user action" : `A ${kind} action`;
  const { required = [], either, check, format } = kinds[kind];
  const read = readObject(value, pointer, report, {
    what,
    fields: tables.get(kind)!,
    required: ["id", "type", "name", ...required],
    elsewhere: (field) => {
      const owners = kindsByField.get(field);
      return owners && `${what} has no field ${quoted(field)}; only ${listed(owners)} actions do.`;
    },
  });
  if (read === undefined) return undefined;
  if (format !== undefined) report.isNew({ pointer: below(pointer, "name"), what, format });
  // What old definitions leave empty counts as absent; what is wrong was reported already.
  const given = report.lenient ? read : value;
  if (either !== undefined) eitherOr(given, either, pointer, report);
  checkRoutes(kind, read, pointer, report);
  check?.(read, pointer, report);
  return read;
}

function listed(words: readonly string[]): string {
  if (words.length === 1) return words[0]!;
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** Undefined when type and name do not determine it; a wrong name is reported here. */
function readKind(
  value: Readonly<Record<string, unknown>>,
  pointer: string,
  report: Report,
): Kind | undefined {
  const [type, name] = ["type", "name"].map((field) => memberOf(value, field, report));
  const kind = kindOf({ type, name });
  const isSystem = typeof type === "string" && type.toLowerCase() === "system";
  if (kind !== undefined || !isSystem || name === undefined) return kind;
  report.problem(below(pointer, "name"), () => {
    const hint = typeof name === "string" ? nearestHint(name, systemNames) : "";
    const known = systemKinds.join(", ");
    return `There is no system action named ${shown(name)}${hint}. There are: ${known}.`;
  });
  return undefined;
}

/** Exactly one of some fields must be there. */
function eitherOr(
  value: unknown,
  fields: readonly string[],
  pointer: string,
  report: Report,
): void {
  const given = fields.filter(
    (field) => isObject(value) && (memberOf(value, field, report) ?? null) !== null,
  );
  if (given.length === 1) return;
  const isPair = fields.length === 2;
  const found = given.length === 0 ? (isPair ? "neither" : "none") : isPair ? "both" : "several";
  const names = listed(fields.map(quoted));
  report.problem(pointer, `It must have exactly one of ${names}; it has ${found}.`);
}

/** Routes that cannot be taken, where that can be known; what leads nowhere else would never run. */
function checkRoutes(kind: Kind, read: ReadObject, pointer: string, report: Report): void {
  warnOfMisspeltDefault("onError", read, pointer, report);
  const { routes } = kinds[kind];
  if (routes === "any") {
    warnOfMisspeltDefault("next", read, pointer, report);
    return;
  }
  const next = isObject(read.next) ? Object.keys(read.next) : [];
  if (routes !== undefined) {
    routes(read, next, pointer, report);
    return;
  }
  for (const route of next) {
    if (route === "default") continue;
    const at = below(below(pointer, "next"), route);
    report.superfluous(at, `It is never taken: a ${kind} action only takes the route "default".`);
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
