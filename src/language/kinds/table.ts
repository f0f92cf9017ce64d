/** All kinds of actions. Messages list them in this order. */
import { delay } from "./delay.ts";
import { http } from "./http.ts";
import { javascript } from "./javascript.ts";
import type { KindRules } from "./kind.ts";
import { loop } from "./loop.ts";
import { map } from "./map.ts";
import { signal } from "./signal.ts";
import { switchKind } from "./switch.ts";
import { terminate } from "./terminate.ts";
import { transform } from "./transform.ts";
import { user } from "./user.ts";
import { wait } from "./wait.ts";
import { workflow } from "./workflow.ts";

const table = {
  user,
  switch: switchKind,
  javascript,
  delay,
  wait,
  transform,
  http,
  workflow,
  map,
  loop,
  terminate,
  signal,
} satisfies Readonly<Record<string, KindRules>>;

export type Kind = keyof typeof table;

/** An action of the plan: what the compilers of the kinds return. */
export type PlanAction = ReturnType<(typeof table)[Kind]["compile"]>;
export type PlanActionOf<K extends Kind> = Extract<PlanAction, { kind: K }>;

export const kinds: Readonly<Record<Kind, KindRules>> = table;

/** In the order of the table. */
export const kindList = Object.keys(table) as Kind[];
export const systemKinds: readonly Kind[] = kindList.filter((kind) => kind !== "user");

const byName: ReadonlyMap<string, Kind> = new Map([
  ...systemKinds.map((kind): [string, Kind] => [kind, kind]),
  ...systemKinds.flatMap((kind) =>
    (kinds[kind].aliases ?? []).map((name): [string, Kind] => [name, kind]),
  ),
]);

/** Names that system actions may have. */
export const systemNames: readonly string[] = [...byName.keys()];

/** The kind of a system action, whose name may be in any letter case. */
export function systemKindOf(name: string): Kind | undefined {
  return byName.get(name.toLowerCase());
}

/** Undefined where `type` and `name` do not determine it. */
export function kindOf({ type, name }: { readonly type?: unknown; readonly name?: unknown }) {
  if (typeof type !== "string") return undefined;
  if (type.toLowerCase() === "user") return "user";
  return type.toLowerCase() === "system" && typeof name === "string"
    ? systemKindOf(name)
    : undefined;
}
