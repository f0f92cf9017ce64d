/** A store over a line that breaks: some calls take effect, and their caller never hears of it. */
import { systemClock } from "../../src/base/clock.ts";
import { parseConfig } from "../../src/config/config.ts";
import { startServer } from "../../src/server/server.ts";
import { openStore } from "../../src/store/open.ts";
import { type Store, StoreFault } from "../../src/store/store.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import type { TestServer } from "../support/orchy.ts";

const breakable = ["create", "commit", "claimTasks", "ackOutbox"] as const;

/**
 * Some of the store's methods, each given the call that is meant and its place among those of its
 * name.
 */
export type Hooks = {
  readonly [Name in keyof Store]?: Required<Store>[Name] extends (
    ...args: infer Args
  ) => infer Answer
    ? (call: (...args: Args) => Answer, count: number, ...args: Args) => Answer
    : never;
};

/** A store whose calls go through these hooks. */
export function hooked(store: Store, hooks: Hooks): Store {
  const counts = new Map<PropertyKey, number>();
  return new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      const method = value.bind(target);
      const hook = hooks[name as keyof Store] as ((...all: unknown[]) => unknown) | undefined;
      if (hook === undefined) return method;
      return (...args: unknown[]) => {
        const count = (counts.get(name) ?? 0) + 1;
        counts.set(name, count);
        return hook(method, count, ...args);
      };
    },
  });
}

/** Of each kind, one answer in this many calls is lost. */
export function losingAnswers(store: Store, every: number): { store: Store; lost: () => number } {
  let lost = 0;
  const lose = async (call: (request: never) => unknown, count: number, request: never) => {
    const answer = await call(request);
    if (count % every !== 0) return answer;
    lost += 1;
    throw new StoreFault("unknown", "the line broke");
  };
  const hooks = Object.fromEntries(breakable.map((name) => [name, lose])) as Hooks;
  return { store: hooked(store, hooks), lost: () => lost };
}

export async function startUnsureServer(
  every: number,
): Promise<TestServer & { readonly lost: () => number }> {
  const flags = ["--http-port", "0", "--grpc-port", "0", "--store", "memory:"];
  const parsed = parseConfig(flags, {});
  if (!("ok" in parsed) || !parsed.ok) throw new Error(JSON.stringify(parsed));
  const { store, lost } = losingAnswers(await openStore("memory:", { namespace: "test" }), every);
  const log = createLogger({ level: "error", clock: systemClock, write() {} });
  const server = await startServer(parsed.config, { store, log });
  return {
    ...server,
    url: `http://127.0.0.1:${server.httpPort}`,
    restart: () => Promise.reject(new Error("what it stores is in memory")),
    remove: () => server.stop(),
    lost,
  };
}
