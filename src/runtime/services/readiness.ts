/** Whether this server can do its work, for load balancers and operators. */
import type { Store } from "../../store/store.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { Formats } from "../peers/formats.ts";
import type { Readiness } from "../shared/orchestrator.ts";
import type { StoreSpace } from "../shared/store-space.ts";
import type { Relay } from "./relay.ts";

interface ReadinessOptions {
  readonly store: Store;
  readonly space: StoreSpace;
  readonly formats: Pick<Formats, "complaint">;
  readonly dispatcher: Pick<Dispatcher, "draining" | "broker">;
  readonly relay: Pick<Relay, "complaint">;
}

type Check = Readiness["checks"][string];

export async function readReadiness(options: ReadinessOptions): Promise<Readiness> {
  const store = await checkStore(options);
  const { draining, broker } = options.dispatcher;
  const message = draining ? "The server is shutting down." : "The server takes work.";
  const complaint = options.relay.complaint();
  // Without a broker the server takes work all the same: it looks into the store, and tickets wait.
  const brokers = complaint !== undefined && { brokers: { ok: false, message: complaint } };
  const queue = broker !== undefined && { queue: checkQueue(broker) };
  const checks = { store, server: { ok: !draining, message }, ...queue, ...brokers };
  return { ready: checks.store.ok && checks.server.ok, checks };
}

function checkQueue(broker: "there" | "away"): Check {
  const ok = broker === "there";
  const message = ok
    ? "The task queue is there."
    : "The task queue, or a queue of it, cannot be used; servers look for its tasks in the store.";
  return { ok, message };
}

async function checkStore({ store, space, formats }: ReadinessOptions): Promise<Check> {
  try {
    await space.read();
    const outdated = formats.complaint();
    const complaints = [store.complaint?.(), outdated].filter((one) => one !== undefined);
    return {
      ok: !space.isFull && outdated === undefined,
      message: [`${store.traits.durability} ${space.sentence}`, ...complaints].join(" "),
    };
  } catch (error) {
    const reason = (error as Error).message.replace(/\.$/, "");
    return { ok: false, message: `The store cannot be reached: ${reason}.` };
  }
}
