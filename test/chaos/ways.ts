/** Faults of the ways from servers to their store. */
import type { Chance } from "../support/chance.ts";
import type { Fault, Healed } from "./faults.ts";
import type { WayToStore, Weather } from "./proxy.ts";

export function wayFaults(
  store: string,
  proxies: readonly WayToStore[],
  chance: Chance,
): readonly Fault[] {
  /** On one of the ways, or on all of them. */
  const lasting = (weather: Weather, least: number, most: number) => async (): Promise<Healed> => {
    const ms = least + chance.below(most - least);
    const hit = chance.percent(30) ? proxies : [chance.pick(proxies)];
    for (const proxy of hit) proxy.weather = weather;
    await Bun.sleep(ms);
    for (const proxy of hit) proxy.weather = "clear";
    return { atMs: performance.now() };
  };
  const cutAll = async (): Promise<Healed> => {
    for (const proxy of proxies) proxy.cutAll();
    return { atMs: performance.now() };
  };
  return [
    { name: `${store}: connections closed`, weight: 2, strike: cutAll },
    { name: `${store}: answers cut off`, weight: 4, strike: lasting("cutting", 1_000, 4_000) },
    { name: `${store}: slow`, weight: 2, strike: lasting("slow", 1_000, 3_000) },
    // Now and then for longer than a call of the store waits.
    { name: `${store}: silent`, weight: 2, strike: lasting("still", 500, 7_000) },
  ];
}
