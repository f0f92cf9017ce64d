/** The names of kinds of system actions, in any letter case and with their older names. */
import { type SystemKind, systemKinds } from "../model/definition.ts";

const byName: ReadonlyMap<string, SystemKind> = new Map([
  ...systemKinds.map((kind) => [kind, kind] as const),
  ["jsonmapper", "transform"],
]);

export const kindNames: readonly string[] = [...byName.keys()];

export function systemKindOf(name: string): SystemKind | undefined {
  return byName.get(name.toLowerCase());
}
