/**
 * One server's way to the shared store: calls take time, in any order, and fail in every way that
 * the contract names. What is under way when the server ends arrives late, once, or never.
 */
import { limits } from "../../src/base/limits.ts";
import { type Store, StoreFault } from "../../src/store/store.ts";
import type { Loop } from "./loop.ts";
import type { Process } from "./process.ts";
import type { Weather } from "./weather.ts";

export interface Line {
  readonly loop: Loop;
  readonly process: Process;
  readonly weather: Weather;
  /** The store has told this server that its clock is wrong. */
  readonly onSkewed: () => void;
}

type Method = (request: unknown) => Promise<unknown>;

export function storeLine(line: Line & { readonly store: Store }): Store {
  return new Proxy(line.store, {
    get(store, name) {
      const value: unknown = Reflect.get(store, name, store);
      if (typeof value !== "function") return value;
      if (name === "close") return async () => {};
      const method = value.bind(store) as Method;
      return (request: unknown) => send(line, { name: String(name), method, request });
    },
  });
}

interface StoreCall {
  readonly name: string;
  readonly method: Method;
  readonly request: unknown;
}

export function send(line: Line, call: StoreCall): Promise<unknown> {
  const { loop, process } = line;
  return new Promise((resolve, reject) => {
    const answer = (how: () => void) => loop.in(delay(line), () => process.deliver(how));
    const fail = (outcome: "not_applied" | "unknown", message: string) =>
      answer(() => reject(new StoreFault(outcome, message)));
    const apply = async (ifRefused: "not_applied" | "unknown" = "not_applied") => {
      // What a server had sent when it ended is in the store's hands, or it is not.
      if (process.hasEnded && loop.chance.percent(50)) return;
      const skewed = skewMs(line, call) > limits.clockSkewMsMax;
      if (skewed || loop.now < line.weather.storeDownUntil) {
        if (skewed) line.onSkewed();
        fail(ifRefused, skewed ? "this clock is wrong" : "the store is down");
        return;
      }
      loop.note(`${process.name} ${call.name} ${shown(call.request)}`);
      const result = await call.method(call.request).then(
        (value) => () => resolve(value),
        (error) => () => reject(error),
      );
      return result;
    };
    const arrive = (then: (result: () => void) => void, ifRefused?: "unknown") =>
      loop.in(delay(line), () => {
        apply(ifRefused).then((result) => result !== undefined && then(result));
      });
    switch (fate(line)) {
      case "answered":
        arrive(answer);
        return;
      case "refused":
        fail("not_applied", "the store refused the call");
        return;
      case "unanswered":
        arrive(() => fail("unknown", "the store's answer was lost"));
        return;
      case "repeated":
        // That the repeat is refused says nothing about the call before it.
        arrive(() => arrive(answer, "unknown"));
        return;
      case "vanished":
        fail("unknown", "the call was lost");
        return;
      case "late":
        fail("unknown", "the call took too long");
        loop.in(loop.chance.below(3_000), () => apply().then(() => {}));
        return;
    }
  });
}

type Fate = "answered" | "refused" | "unanswered" | "repeated" | "vanished" | "late";

function fate({ loop, weather }: Line): Fate {
  const fates = ["refused", "unanswered", "repeated", "vanished", "late"] as const;
  let left = loop.chance.below(100);
  for (const one of fates) {
    if (left < weather.rates[one]) return one;
    left -= weather.rates[one];
  }
  return "answered";
}

function delay({ loop, weather }: Line): number {
  return loop.chance.percent(weather.rates.busy)
    ? loop.chance.below(700)
    : 1 + loop.chance.below(3);
}

/** A store refuses a `now` that is too far from its own; see the store contract. */
export function skewMs({ loop }: Line, { request }: Pick<StoreCall, "request">): number {
  const now = (request as { now?: number } | undefined)?.now;
  return now === undefined ? 0 : Math.abs(now - loop.now);
}

function shown(request: unknown): string {
  const { key, id, partition, commitId, claimId } = (request ?? {}) as Record<string, unknown>;
  const of = (key as { id?: string } | undefined)?.id ?? id ?? partition ?? "";
  return `${String(of)} ${String(commitId ?? claimId ?? "")}`;
}
