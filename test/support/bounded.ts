/** A store that refuses commits beyond limits.commitRowsMax: nobody makes any, whatever the store. */
import { limits } from "../../src/base/limits.ts";
import type { CommitRequest, CreateRequest, Store } from "../../src/store/store.ts";

/** Fields, effects and texts of history; of a creation, which may have more fields, without those. */
export function rowsOf(request: CommitRequest | CreateRequest): number {
  const { tasks, dropTasks, timers, dropTimers, messages, history } = request.effects;
  const effects = [tasks, dropTasks, timers, dropTimers, messages, history];
  const ends = "settle" in request ? [request.settle, request.expire, request.consumeTimers] : [];
  const fields = "settle" in request ? request.data.size : 0;
  return [...effects, ...ends].reduce((sum, list) => sum + list.length, fields);
}

export function bounded<Some extends Partial<Store>>(store: Some): Some {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      const method = value.bind(target) as (...all: unknown[]) => unknown;
      if (name !== "commit" && name !== "create") return method;
      return (request: CommitRequest | CreateRequest) => {
        const rows = rowsOf(request);
        if (rows <= limits.commitRowsMax) return method(request);
        const message = `${String(name)} of ${request.key.id} has ${rows} rows; ${limits.commitRowsMax} are the most.`;
        return Promise.reject(new RangeError(message));
      };
    },
  });
}
