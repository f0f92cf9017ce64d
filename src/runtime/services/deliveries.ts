/**
 * Delivers what executions send to others through their outboxes. Every delivery is safe to repeat: the
 * id of what is started follows from the message, and what is told to an execution names its cause.
 */
import { defined } from "../../base/defined.ts";
import { OrchyError } from "../../base/errors.ts";
import { hashText } from "../../base/hash.ts";
import { decodeExecution } from "../../engine/stored/codec.ts";
import { pick } from "../../language/data/json-text.ts";
import { childIdOf, type ParentLink } from "../../model/child.ts";
import { isOpen } from "../../model/execution.ts";
import { executionKey } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import {
  type AskChildMessage,
  type CancelChildMessage,
  type ChildEnd,
  type ChildEndedMessage,
  type Message,
  runEndedWith,
  type StartChildMessage,
  type StartMessage,
} from "../../model/message.ts";
import type { OutboxMessage, Store } from "../../store/store.ts";
import type { Plans } from "../catalogue/plans.ts";
import type { Driver } from "../driving/driver.ts";
import type { NewBeginning } from "../driving/mailbox.ts";
import type { Tracing } from "../reporting/tracing.ts";
import { followUpId, seedOf } from "../shared/hash.ts";
import type { CorrelatedSignals } from "./correlated-signals.ts";
import type { Executions } from "./executions.ts";
import type { Relay } from "./relay.ts";
import { deliverSignal } from "./signal-delivery.ts";

interface Options {
  readonly store: Store;
  readonly plans: Plans;
  readonly driver: Driver;
  readonly executions: Pick<Executions, "create">;
  readonly correlated: CorrelatedSignals;
  readonly namespace: string;
  readonly tracing: Tracing | undefined;
  readonly relay: Relay;
}

/** What a child has from its parent. */
type Carried = "priority" | "correlationId" | "traceContext" | "traceState";

/** `undeliverable`: why it never can be. */
type Delivered = { readonly undeliverable?: string };

const delivered: Delivered = {};

export class Deliveries {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  async deliver(message: OutboxMessage): Promise<Delivered> {
    const body = JSON.parse(message.body) as Message;
    if (await this.#isOvertaken(message)) return delivered;
    switch (body.type) {
      case "start-child":
        return this.#startChild(message, body);
      case "cancel-child":
        return this.#cancelChild(body);
      case "ask-child":
        return this.#askChild(body);
      case "child-resumed": {
        const { parent, version } = body;
        await this.#options.driver.submit(parent.id, { type: "child-resumed", parent, version });
        return delivered;
      }
      case "child-ended":
        return this.#tell(body.parent, endOf(message, body));
      case "ticket":
        await this.#options.relay.take(body);
        return delivered;
      case "signal":
        await deliverSignal(this.#options, message, body);
        return delivered;
      default:
        return this.#startFollowUp(message, body);
    }
  }

  /** A new run was faster than what follows the end of the run before it. */
  async #isOvertaken({ key, id }: OutboxMessage): Promise<boolean> {
    const run = runEndedWith(id);
    if (run === undefined) return false;
    const loaded = await this.#options.store.load({ key, fields: [] });
    if (loaded.outcome !== "loaded") return false;
    return decodeExecution(loaded.state, loaded.data).state.run > run;
  }

  /** The source hears that a message was given up. */
  async giveUp({ key, id, body }: OutboxMessage, failure: string): Promise<void> {
    const message = JSON.parse(body) as Message;
    if (message.type === "start") {
      await this.#options.driver.submit(key.id, { type: "outbox", id, failure });
    } else if (message.type === "start-child") {
      const error = { code: "NOT_STARTED", message: failure };
      await this.#tell(message.parent, { failure: error });
    } else if (message.type === "signal") {
      const refused = { handout: message.handout, sent: [], refusal: failure };
      await this.#options.driver.submit(key.id, { type: "signal-sent", ...refused });
    }
  }

  async #startFollowUp(message: OutboxMessage, start: StartMessage): Promise<Delivered> {
    const { workflow, depth, correlationId, run = 1, sourceStartedAt, traceState } = start;
    const { tracing, namespace, executions } = this.#options;
    const traceContext =
      tracing?.ofExecution(message.key.id, run, start.traceContext) ?? start.traceContext;
    const id = followUpId(namespace, message, sourceStartedAt);
    const request = {
      workflow,
      input: textIn(message, "input"),
      ...defined({ correlationId, traceContext, traceState }),
    };
    return unlessRefused(() => executions.create(id, request, { depth, generatedId: false }));
  }

  /** What is there already was made by an earlier delivery, or left by a cancel. */
  async #startChild(message: OutboxMessage, start: StartChildMessage): Promise<Delivered> {
    const { tracing } = this.#options;
    const { correlationId, traceState } = start;
    const traceContext =
      tracing?.ofExecution(message.key.id, 1, start.traceContext) ?? start.traceContext;
    return unlessRefused(() =>
      this.#createChild(start, {
        input: textIn(message, "input"),
        depth: start.depth,
        priority: start.priority,
        ...defined({ correlationId, traceContext, traceState }),
      }),
    );
  }

  async #createChild(
    of: StartChildMessage | CancelChildMessage,
    rest: Pick<NewBeginning, "input" | "depth" | "cancelled" | Carried>,
  ): Promise<void> {
    const { parent, nesting, inline } = of;
    const id = childIdOf(parent);
    // Also of a deleted workflow, whose versions are kept.
    const plan = await this.#options.plans.of(of);
    const child = { parent, nesting, ...defined({ inline }) };
    // Nobody else chooses this id, so what it was started with needs no comparison.
    await this.#options.driver.create({ id, plan, seed: seedOf(id), child, ...rest }, hashText(id));
  }

  async #cancelChild(cancel: CancelChildMessage): Promise<Delivered> {
    const id = childIdOf(cancel.parent);
    const { reason } = cancel;
    const end = () => this.#options.driver.submit(id, { type: "parent-ended", reason });
    if ((await end()).type !== "not-found") return delivered;
    const left = { input: "null", cancelled: reason, depth: 0 };
    const refused = await unlessRefused(() => this.#createChild(cancel, left));
    // It may have been started in between.
    if (refused.undeliverable === undefined) await end();
    return delivered;
  }

  async #askChild({ parent }: AskChildMessage): Promise<Delivered> {
    const { store, driver } = this.#options;
    const id = childIdOf(parent);
    const loaded = await store.load({ key: executionKey(id, store.partitions), fields: [] });
    switch (loaded.outcome) {
      case "loaded":
        if (!isOpen(loaded.status)) await driver.submit(id, { type: "parent-asks" });
        break;
      case "not_found":
        await driver.submit(parent.id, { type: "child-lost", parent });
        break;
      default:
        await this.#tell(parent, {
          failure: { code: "DELETED", message: "It has been deleted, and its end is not known." },
        });
    }
    return delivered;
  }

  /** A parent that has gone on, or is gone, does not mind. */
  async #tell(parent: ParentLink, end: ChildEnd): Promise<Delivered> {
    await this.#options.driver.submit(parent.id, { type: "child-ended", parent, end });
    return delivered;
  }
}

function endOf(message: OutboxMessage, { status, failure }: ChildEndedMessage): ChildEnd {
  return failure === undefined ? { output: textIn(message, "output") } : { status, failure };
}

/** Taken as text: large integers in it stay exact. */
function textIn({ body }: OutboxMessage, name: string): JsonText {
  return pick(body, [name]) ?? "null";
}

async function unlessRefused(run: () => Promise<unknown>): Promise<Delivered> {
  try {
    await run();
    return delivered;
  } catch (error) {
    if (!(error instanceof OrchyError)) throw error;
    switch (error.code) {
      case "DELETED":
        return delivered;
      case "NOT_FOUND":
      case "CONFLICT":
        return { undeliverable: error.message };
      default:
        throw error;
    }
  }
}
