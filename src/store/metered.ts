/** A store whose calls are watched: how long each takes, how it ends, and whether it is there. */
import { defined } from "../base/defined.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Outage } from "../telemetry/outage.ts";
import { operations } from "./facets.ts";
import { faultOutcome, type Store, StoreFault } from "./store.ts";

type Call = (request?: unknown) => Promise<unknown>;

/**
 * Commits pass unmeasured: the committer waits for them anyway, and measures them itself.
 * The store's own promises are passed on: no caller waits for the measurement.
 */
export function meterStore(store: Store, metrics: Metrics, outage: Outage): Store {
  const calls = store as unknown as Partial<Record<string, Call>>;
  const metered = {
    traits: store.traits,
    partitions: store.partitions,
    commit: (request) => store.commit(request),
    close: () => store.close(),
    ...defined({
      format: store.format?.bind(store),
      raiseFormat: store.raiseFormat?.bind(store),
      timeOffset: store.timeOffset?.bind(store),
      complaint: store.complaint?.bind(store),
      indexExecutions: store.indexExecutions?.bind(store),
      onWake: store.onWake?.bind(store),
      sendNote: store.sendNote?.bind(store),
      broken: store.broken?.bind(store),
      logBytes: store.logBytes?.bind(store),
    }),
  } satisfies Partial<Store> & Record<string, unknown>;
  for (const operation of operations) {
    if (calls[operation] === undefined || operation === "commit") continue;
    (metered as Record<string, unknown>)[operation] = (request?: unknown) => {
      const tell = metrics.timeStoreCall(operation);
      const answering = calls[operation]!(request);
      answering.then(
        (answer) => {
          tell(outcomeOf(answer));
          outage.succeeded();
        },
        (error) => {
          tell(faultOutcome(error));
          if (isAway(error)) outage.failed(error);
        },
      );
      return answering;
    };
  }
  return metered as unknown as Store;
}

/** Expected outcomes are counted by name; most operations have only one. */
function outcomeOf(answer: unknown): string {
  if (typeof answer === "string") return answer;
  if (typeof answer !== "object" || answer === null) return "ok";
  const { outcome } = answer as { outcome?: unknown };
  return typeof outcome === "string" ? outcome : "ok";
}

/** A full store still answers. */
function isAway(error: unknown): boolean {
  return error instanceof StoreFault && error.reason === "unavailable";
}
