/** Forks: executions that go on from before an action of another one. */
import { inBytes } from "../../base/amount.ts";
import type { Ids } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { OrchyError } from "../../base/errors.ts";
import { hashId, hashText } from "../../base/hash.ts";
import { limits } from "../../base/limits.ts";
import { type Taken, takeOver } from "../../engine/fork.ts";
import type { PlanAction } from "../../language/kinds/table.ts";
import type { Plan } from "../../language/plan.ts";
import { canonicalJson } from "../../model/canonical.ts";
import type { Refusal } from "../../model/event.ts";
import { type Execution, hasOutput } from "../../model/execution.ts";
import { executionKey, fields } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Store } from "../../store/store.ts";
import type { Plans } from "../catalogue/plans.ts";
import type { Driver } from "../driving/driver.ts";
import { loadExecution } from "../driving/load.ts";
import type { Formats } from "../peers/formats.ts";
import { seedOf } from "../shared/hash.ts";
import type { ForkRequest, StartAnswer } from "../shared/orchestrator.ts";
import type { StoreSpace } from "../shared/store-space.ts";
import { gone, notFound, startedByAnother } from "./executions.ts";
import { refusalError, unreadError } from "./refusals.ts";

/** How often it is read again after a change in between. */
const readsMax = 5;
/** Outputs read at once. */
const outputsPerLoad = 32;
/** Servers that read it know how forks begin. */
const forkFormat = 4;

interface Options {
  readonly store: Store;
  readonly ids: Ids;
  readonly driver: Driver;
  readonly plans: Plans;
  readonly space: StoreSpace;
  readonly formats: Pick<Formats, "written">;
  readonly namespace: string;
}

/** All that a fork has of its source. */
interface Source {
  readonly execution: Execution;
  readonly plan: Plan;
  readonly taken: Taken;
  readonly input: JsonText;
  readonly outputs: ReadonlyMap<string, JsonText>;
}

export class Forks {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  async fork(request: ForkRequest): Promise<StartAnswer> {
    const { ids, driver, namespace, formats, space } = this.#options;
    if (formats.written() < forkFormat) throw unreadError();
    const { id: of, operationId, action, reason, who } = request;
    const id =
      request.executionId ??
      (operationId === undefined ? ids.uuid() : hashId(namespace, "fork", of, operationId));
    const { execution, plan, taken, input, outputs } = await this.#read(request);
    const { state } = execution;
    const chars = [...outputs.values()].reduce((sum, text) => sum + text.length, input.length);
    const requestHash = hashOf(request);
    const leave = await space.enter(chars);
    const details = JSON.stringify({ of, action, run: state.run, ...defined({ reason }) });
    const answer = await driver
      .create(
        {
          id,
          plan,
          input,
          seed: seedOf(id),
          depth: state.depth,
          priority: state.priority,
          generatedId: request.executionId === undefined && operationId === undefined,
          fork: { taken, outputs, details, ...defined({ who }) },
          ...defined({
            correlationId: state.correlationId,
            inline: state.inline,
            traceContext: request.traceContext,
            traceState: request.traceState,
          }),
        },
        requestHash,
      )
      .finally(leave);
    switch (answer.outcome) {
      case "created":
        return { id, created: true, status: answer.status };
      case "exists":
        if (answer.requestHash !== requestHash) throw startedByAnother(id);
        return { id, created: false, status: answer.status };
      default:
        throw gone(executionKey(id, this.#options.store.partitions));
    }
  }

  /** All of one moment. */
  async #read(request: ForkRequest): Promise<Source> {
    const { store } = this.#options;
    const key = executionKey(request.id, store.partitions);
    for (let reads = 0; reads < readsMax; reads++) {
      const loaded = await loadExecution(store, key, [fields.input]);
      if (loaded === "not-found") throw notFound(key);
      if (loaded === "gone") throw gone(key);
      const { execution, head } = loaded;
      const { source, plan, taken } = await this.#takeOver(execution, request);
      const input = execution.data.get(fields.input) ?? "null";
      const wanted = source.actions.filter(({ index, key: name }) => {
        const record = execution.records[index];
        return taken.has(plan.byKey.get(name) ?? -1) && hasOutput(record);
      });
      checkGiven(request.outputs, wanted);
      const unread = wanted.filter(({ key: name }) => !request.outputs.has(name));
      const outputs = new Map(request.outputs);
      let left = limits.forkBytesMax - input.length;
      for (const text of outputs.values()) left -= text.length;
      let isSame = true;
      for (let at = 0; at < unread.length && isSame; at += outputsPerLoad) {
        const names = unread.slice(at, at + outputsPerLoad).map((one) => one.key);
        const part = await store.load({ key, fields: names.map(fields.output) });
        isSame = part.outcome === "loaded" && part.head.revision === head.revision;
        if (part.outcome !== "loaded") break;
        for (const name of names) {
          const text = part.data.get(fields.output(name));
          if (text === undefined) continue;
          left -= text.length;
          outputs.set(name, text);
        }
        if (left < 0) break;
      }
      if (left < 0) throw tooLarge();
      if (isSame) return { execution, plan, taken, input, outputs };
    }
    throw new OrchyError("UNAVAILABLE", "The execution keeps changing; pause it, or try again.");
  }

  async #takeOver(
    execution: Execution,
    { action: key, version }: ForkRequest,
  ): Promise<{ readonly source: Plan; readonly plan: Plan; readonly taken: Taken }> {
    const { plans } = this.#options;
    const { state, records } = execution;
    const source = await plans.of(state);
    const cut = source.actions[source.byKey.get(key) ?? -1];
    if (cut === undefined) {
      throw new OrchyError("NOT_FOUND", `The workflow has no action ${key}.`);
    }
    const plan = version === undefined ? source : await plans.of({ ...state, version });
    const taken = takeOver({ execution, plan: source }, plan, cut);
    if (!(taken instanceof Map)) throw refusalError(taken as Refusal, state.status);
    for (const { index, key: name } of source.actions) {
      if (!taken.has(plan.byKey.get(name) ?? -1)) continue;
      // Its output is put together from its items, which a fork does not have.
      if (records[index]?.items?.isLarge === true) throw tooLarge();
    }
    return { source, plan, taken };
  }
}

function checkGiven(
  given: ReadonlyMap<string, JsonText>,
  actions: readonly Pick<PlanAction, "key">[],
): void {
  const keys = new Set(actions.map(({ key }) => key));
  const problems = [...given.keys()]
    .filter((key) => !keys.has(key))
    .map((key) => ({
      pointer: `/outputs/${key}`,
      message: `The action ${key} is not taken over with an output.`,
    }));
  if (problems.length > 0) {
    throw new OrchyError("INVALID_ARGUMENT", "The body is invalid.", problems);
  }
}

function tooLarge(): OrchyError {
  const most = inBytes(limits.forkBytesMax);
  const message = `What the fork takes over is larger than ${most}. Fork from an earlier action, or give smaller outputs.`;
  return new OrchyError("TOO_LARGE", message);
}

/** What it asks for: a repeat with the same id asks for the same. */
function hashOf({ id, action, version, outputs, reason }: ForkRequest): string {
  const given = [...outputs].map(([key, text]) => [key, canonicalJson(text)]).sort();
  return hashText(JSON.stringify(["fork", id, action, version ?? null, given, reason ?? null]));
}
