/**
 * A shared store that has no wake-ups, with those that its servers send each other: what a call puts
 * on offer is sent to the others once it holds.
 */
import type { Clock, Ids } from "../../base/clock.ts";
import type { Store, StoreEffects } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import { StoreSecret } from "../shared/store-secret.ts";
import { PeerLine, type SendToPeer } from "./peer-line.ts";

interface Options {
  readonly store: Store;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly sendToPeer?: SendToPeer;
}

/** The store as it is, where it has wake-ups, or there is no way to other servers. */
export function withPeers(options: Options): { readonly store: Store; readonly peers?: PeerLine } {
  const { store, clock, ids, log, sendToPeer: send } = options;
  const hasWakes = !store.traits.shared || store.onWake !== undefined;
  if (hasWakes || send === undefined) return { store };
  const peers = new PeerLine({
    clock,
    log,
    send,
    secret: new StoreSecret({ store, ids, id: "peers" }),
  });
  return { store: woken(store, peers), peers };
}

function woken(store: Store, line: PeerLine): Store {
  const tellTasks = (partition: number, tasks: StoreEffects["tasks"]) => {
    for (const { queue, lease } of tasks) if (lease === undefined) line.wake(partition, queue);
  };
  /** Which queues got something back is not known: those that hold something may have. */
  const tellAll = async (partition: number) => {
    for (const queue of await store.queueHints({ partition })) line.wake(partition, queue);
  };
  const calls: Partial<Store> = {
    async create(request) {
      const answer = await store.create(request);
      if (answer.outcome === "created") tellTasks(request.key.partition, request.effects.tasks);
      return answer;
    },
    async commit(request) {
      const answer = await store.commit(request);
      if (answer.outcome === "committed") {
        tellTasks(request.key.partition, request.effects.tasks);
        if (request.hold === false) tellAll(request.key.partition).catch(() => {});
      }
      return answer;
    },
    async claimTasks(request) {
      const answer = await store.claimTasks(request);
      if (answer.tasks.length > 0) {
        for (const queue of answer.more) line.wake(request.partition, queue);
      }
      return answer;
    },
    async releaseTasks(request) {
      const answers = await store.releaseTasks(request);
      if (answers.includes("released")) tellAll(request.partition).catch(() => {});
      return answers;
    },
    async onWake(listener, onNote) {
      line.listen(listener, onNote);
    },
    async sendNote(partition, text) {
      line.note(partition, text);
    },
  };
  const known = new Map<PropertyKey, unknown>();
  return new Proxy(store, {
    get(target, name) {
      const own = calls[name as keyof Store] ?? known.get(name);
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      const bound = value.bind(target);
      known.set(name, bound);
      return bound;
    },
  });
}
