/** Starting executions, and deleting them. */

import type { Clock, Ids } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { OrchyError, unreachable } from "../../base/errors.ts";
import { hashId } from "../../base/hash.ts";
import { limits } from "../../base/limits.ts";
import { decodeExecution } from "../../engine/stored/codec.ts";
import { isSameJson } from "../../model/canonical.ts";
import { type ExecutionStatus, isOpen } from "../../model/execution.ts";
import { type ExecutionKey, executionKey, fields } from "../../model/ids.ts";
import type { Store } from "../../store/store.ts";
import type { Plans } from "../catalogue/plans.ts";
import type { Driver } from "../driving/driver.ts";
import type { Formats } from "../peers/formats.ts";
import { canonicalRequest, hashRequest, seedOf } from "../shared/hash.ts";
import type { StartAnswer, StartRequest } from "../shared/orchestrator.ts";
import type { StoreSpace } from "../shared/store-space.ts";

/** Input of a repeated start that is compared by value with that of its execution. */
export const comparedCharsMax = 1024 * 1024;

/** Servers that read it know hashes of what callers start by its values. */
const valuesFormat = 3;

interface Options {
  readonly store: Store;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly driver: Driver;
  readonly plans: Plans;
  readonly space: StoreSpace;
  readonly formats: Pick<Formats, "written">;
  readonly namespace: string;
  /** How long a deleted id is remembered that a caller or a message chose. */
  readonly tombstoneSeconds: number;
}

export class Executions {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  async start(request: StartRequest): Promise<StartAnswer> {
    const { ids, namespace, space } = this.#options;
    const { idempotencyKey, workflow } = request;
    const chosenId =
      request.executionId ??
      (idempotencyKey === undefined ? undefined : hashId(namespace, workflow, idempotencyKey));
    const leave = await space
      .enter(Buffer.byteLength(request.input))
      .catch((refusal) => this.#mustBeKnown(chosenId, refusal));
    const id = chosenId ?? ids.uuid();
    const about = { depth: 0, generatedId: chosenId === undefined };
    return await this.create(id, request, about).finally(leave);
  }

  /** A start that is only repeated takes no room. Throws the refusal for any other. */
  async #mustBeKnown(id: string | undefined, refusal: unknown): Promise<() => void> {
    if (id === undefined || !(await this.#isKnown(id))) throw refusal;
    return () => {};
  }

  /** Whether an execution of that id exists, or what a deleted one has left. */
  async #isKnown(id: string): Promise<boolean> {
    const { store } = this.#options;
    const { outcome } = await store.load({ key: executionKey(id, store.partitions), fields: [] });
    return outcome !== "not_found";
  }

  /** Under this id; a repeat of the start that made it finds it. */
  async create(
    id: string,
    request: StartRequest,
    about: { readonly depth: number; readonly generatedId: boolean },
  ): Promise<StartAnswer> {
    const { plans, driver, store } = this.#options;
    const isKnown = async () => !about.generatedId && (await this.#isKnown(id));
    const plan = await plans
      .forStart(request.workflow, request.version, isKnown)
      .catch(async (error) => {
        // What the execution was started with was there.
        const isUnknown = error instanceof OrchyError && error.code === "NOT_FOUND";
        throw isUnknown && (await isKnown()) ? startedByAnother(id) : error;
      });
    const requestHash = this.#hashToKeep(request);
    const { input, priority, correlationId, traceContext, traceState, signal } = request;
    const answer = await driver.create(
      {
        id,
        plan,
        input,
        seed: seedOf(id),
        ...about,
        ...defined({ priority, correlationId, traceContext, traceState, signal }),
      },
      requestHash,
    );
    switch (answer.outcome) {
      case "created":
        return { id, created: true, status: answer.status };
      case "exists":
        if (!(await this.#isRepeat(id, request, answer.requestHash))) throw startedByAnother(id);
        return { id, created: false, status: answer.status };
      case "tombstone": {
        const { kept } = answer;
        if (kept === undefined) throw gone(executionKey(id, store.partitions));
        const isSame = hashesOf(request).some((hash) => hash.startsWith(kept.requestHash));
        if (!isSame) throw startedByAnother(id);
        const { status, endedAt } = kept;
        const ended = endedAt !== undefined && { endedAt };
        return { id, created: false, status, deleted: true, ...ended };
      }
      default:
        return unreachable(answer);
    }
  }

  /** Servers of format 2 compare payloads as they are written; a random id is not repeated. */
  #hashToKeep(request: StartRequest): string {
    const { executionId, idempotencyKey } = request;
    const isChosen = executionId !== undefined || idempotencyKey !== undefined;
    const byValue = isChosen && this.#options.formats.written() >= valuesFormat;
    return hashRequest(byValue ? canonicalRequest(request) : request);
  }

  /**
   * Where no hash of the request is the one that was kept, the input may be written in another way
   * than one that was hashed as it was: with the execution's own text in its place the hash must be
   * the same.
   */
  async #isRepeat(id: string, request: StartRequest, kept: string | undefined): Promise<boolean> {
    if (kept === undefined) return false;
    if (hashesOf(request).includes(kept)) return true;
    const { store } = this.#options;
    const key = executionKey(id, store.partitions);
    const loaded = await store.load({ key, fields: [fields.input] });
    const input = loaded.outcome === "loaded" ? loaded.data.get(fields.input) : undefined;
    if (input === undefined) return false;
    if (Math.max(input.length, request.input.length) > comparedCharsMax) return false;
    const isSameBeside = hashesOf({ ...request, input }).includes(kept);
    return isSameBeside && isSameJson(input, request.input);
  }

  async status(id: string): Promise<ExecutionStatus> {
    const key = executionKey(id, this.#options.store.partitions);
    const loaded = await this.#options.store.load({ key, fields: [] });
    if (loaded.outcome === "loaded") return loaded.status;
    throw loaded.outcome === "tombstone" ? gone(key) : notFound(key);
  }

  async delete(id: string): Promise<void> {
    const key = executionKey(id, this.#options.store.partitions);
    const removed = await this.remove(key);
    if (removed === "removed") return;
    if (removed === "not_found") throw notFound(key);
    if (removed === "gone") throw gone(key);
    if (removed === "sending") {
      throw new OrchyError(
        "UNAVAILABLE",
        "What it has sent, to its children, its parent or its follow-up, is being delivered; try again.",
      );
    }
    const status = await this.status(id);
    const message = `The execution is ${status}; only finished ones can be deleted. Cancel it first.`;
    throw new OrchyError("INVALID_STATE", message, [], { status });
  }

  /**
   * Removes a finished execution; also what its retention timer does. What it has sent (`sending`)
   * is delivered first, as it would be removed with it. Absent `endedBefore`: however lately it
   * ended.
   */
  async remove(
    key: ExecutionKey,
    { endedBefore }: { readonly endedBefore?: number } = {},
  ): Promise<"removed" | "open" | "young" | "sending" | "gone" | "not_found"> {
    const { store, clock, tombstoneSeconds } = this.#options;
    for (;;) {
      const loaded = await store.load({ key, fields: [] });
      if (loaded.outcome === "not_found") return "not_found";
      if (loaded.outcome === "tombstone") return "gone";
      if (isOpen(loaded.status)) return "open";
      const { endedAt = 0, generatedId } = decodeExecution(loaded.state, loaded.data).state;
      if (endedBefore !== undefined && endedAt > endedBefore) return "young";
      const { messages } = await store.holdings(key);
      if (messages.length > 0) return "sending";
      const keepStart = generatedId !== true;
      const seconds = keepStart ? tombstoneSeconds : limits.generatedTombstoneSeconds;
      const tombstoneUntil = clock.now() + seconds * 1000;
      const request = { key, expected: loaded.head, tombstoneUntil, keepStart };
      // Each piece has its own moment: a store may refuse an old one.
      let answer: Awaited<ReturnType<Store["remove"]>>;
      do answer = await store.remove({ ...request, now: clock.now() });
      while (answer === "more");
      if (answer !== "conflict") return answer;
    }
  }
}

/** As its payloads are written, and by their values. */
function hashesOf(request: StartRequest): readonly string[] {
  return [hashRequest(request), hashRequest(canonicalRequest(request))];
}

export function startedByAnother(id: string): OrchyError {
  return new OrchyError("CONFLICT", `The execution ${id} was started by a different request.`);
}

export function notFound(key: ExecutionKey): OrchyError {
  return new OrchyError("NOT_FOUND", `There is no execution ${key.id}.`);
}

export function gone(key: ExecutionKey): OrchyError {
  return new OrchyError("DELETED", `The execution ${key.id} has been deleted.`);
}
