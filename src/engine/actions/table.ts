/** The rules of all kinds of actions. */
import type { Kind, PlanAction, PlanActionOf } from "../../language/kinds/table.ts";
import { delay } from "./delay.ts";
import { http } from "./http.ts";
import { javascript } from "./javascript.ts";
import { loop } from "./loop.ts";
import { map } from "./map/map.ts";
import type { ActionRules } from "./rules.ts";
import { signal } from "./signal.ts";
import { switchRules } from "./switch.ts";
import { terminate } from "./terminate.ts";
import { transform } from "./transform.ts";
import { user } from "./user.ts";
import { wait } from "./wait.ts";
import { workflow } from "./workflow.ts";

const table: { readonly [K in Kind]: ActionRules<PlanActionOf<K>> } = {
  user,
  switch: switchRules,
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
};

/** Made for its kind, so they may be used with this action and no other. */
export function rulesOf(action: PlanAction): ActionRules {
  return table[action.kind] as ActionRules;
}
