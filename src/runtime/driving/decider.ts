/**
 * From what is in memory to a decision that can be committed: reads what the engine lacks, and
 * evaluates scripts that end soon, so that what they say is part of the same commit.
 */

import { type Clock, goOn, type Now } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { decide } from "../../engine/decide.ts";
import type { Surroundings } from "../../engine/decision/surroundings.ts";
import { afterDecision, effectCount, mergeDecisions, rowCount } from "../../engine/stored/codec.ts";
import type { Plan } from "../../language/plan.ts";
import type { Decision, NeedData } from "../../model/decision.ts";
import type { Execution } from "../../model/execution.ts";
import { type ExecutionKey, parseVersionField } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { type Store, StoreFault } from "../../store/store.ts";
import type { MainThread } from "../../telemetry/main-thread.ts";
import type { ActionRegistry } from "../catalogue/action-registry.ts";
import type { Plans } from "../catalogue/plans.ts";
import type { Formats } from "../peers/formats.ts";
import { withUnwritten } from "./load.ts";
import { continuation, hasFreshScripts, type Mail, type Mailbox, takeBatch } from "./mailbox.ts";
import type { ScriptTurns } from "./script-turns.ts";
import type { ScriptRunner } from "./scripts.ts";

/** Fields, of at most a payload each, that are loaded at once. */
const fieldsPerLoad = 32;

/**
 * How long a commit waits for scripts that were just started: most take less than a millisecond.
 */
const scriptFoldMs = 25;

export interface Decided {
  readonly before: Execution;
  readonly decision: Decision;
  readonly mail: Mail[];
  readonly plan: Plan;
  /** What it was decided by. Its commit names the time of it: a store refuses a wrong one. */
  readonly clock: Now;
}

interface DeciderOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly formats: Pick<Formats, "written">;
  readonly plans: Plans;
  readonly registry: ActionRegistry;
  readonly mainThread: MainThread;
  /** The scripts of a mailbox, made on first use. */
  readonly scriptsOf: (box: Mailbox) => ScriptRunner;
  readonly turns: ScriptTurns;
}

export class Decider {
  readonly #options: DeciderOptions;

  constructor(options: DeciderOptions) {
    this.#options = options;
  }

  /** Synchronous in the steady state: an await costs a turn of the queue for each step. */
  planOf(execution: Execution): Plan | Promise<Plan> {
    const { state } = execution;
    const { plans, registry } = this.#options;
    const plan = plans.cachedOf(state);
    if (plan === undefined) {
      return plans.of(state).then(async (read) => {
        await registry.ensure(read);
        return read;
      });
    }
    const missing = registry.ensure(plan);
    return missing === undefined ? plan : missing.then(() => plan);
  }

  /**
   * Decides the batch, and on top of it what its scripts answer within a short time. At once where
   * neither data nor scripts must be waited for. `removed`: the execution was, since it was read.
   */
  decide(
    box: Mailbox,
    before: Execution,
    plan: Plan,
    mail: Mail[],
  ): Decided | Promise<Decided | "removed"> {
    const all = box.more ? [...mail, continuation()] : mail;
    const clock = goOn(this.#options.clock);
    const decision = this.#decide(box, before, all, { plan, clock });
    if ("need" in decision) {
      const loading = this.#loadFields(box.key, before, decision.need);
      return loading.then((loaded) =>
        loaded === "removed" ? loaded : this.decide(box, loaded, plan, mail),
      );
    }
    const decided: Decided = { before, decision, mail: all, plan, clock };
    const hasScripts = decision.scripts.length > 0 || hasFreshScripts(box);
    return hasScripts ? this.foldScripts(box, decided) : decided;
  }

  #decide(
    box: Mailbox,
    execution: Execution,
    mail: readonly Mail[],
    { plan, clock }: Pick<Decided, "plan" | "clock">,
  ): Decision | NeedData {
    const startedAt = performance.now();
    const events = mail.map((item) => item.event);
    const decision = decide(execution, events, this.surroundings(box, plan, clock));
    this.#options.mainThread.ran("execution", execution.state.id, startedAt);
    return decision;
  }

  surroundings(box: Mailbox, plan: Plan, clock: Now): Surroundings {
    const { formats, registry, turns } = this.#options;
    const { registered } = registry;
    const scripts = {
      hasRoom: (asked: number) => turns.hasRoom(plan.workflow, asked),
      isUnderWay: (handout: number) => box.scripts?.has(handout) ?? false,
    };
    return { plan, now: clock.now(), format: formats.written(), registered, scripts };
  }

  async #loadFields(
    key: ExecutionKey,
    execution: Execution,
    need: readonly string[],
  ): Promise<Execution | "removed"> {
    const { state, records, written, data: before, refused = [] } = execution;
    const same = { state, records, refused, ...defined({ written }) };
    const data = new Map(before);
    let chars = 0;
    for (let at = 0; at < need.length; at += fieldsPerLoad) {
      const names = need.slice(at, at + fieldsPerLoad);
      const loaded = await this.#load(key, names);
      if (loaded === "removed") return loaded;
      for (const [name, text] of loaded) {
        data.set(name, text);
        chars += text.length;
      }
      if (chars > limits.actionDataCharsMax) {
        return { ...same, data: before, refused: [...refused, need] };
      }
    }
    return { ...same, data };
  }

  async #load(
    key: ExecutionKey,
    names: readonly string[],
  ): Promise<ReadonlyMap<string, JsonText> | "removed"> {
    if (names.every((name) => parseVersionField(name) !== undefined)) return this.lookUp(names);
    const answer = await this.#options.store.load({ key, fields: names });
    if (answer.outcome !== "loaded") return "removed";
    const loaded = withUnwritten(answer.data, names);
    // The state says that it exists: a commit in between is found by the next one's head check.
    const missing = names.find((name) => !loaded.has(name));
    if (missing !== undefined) throw new StoreFault("not_applied", `${key.id} lacks ${missing}`);
    return loaded;
  }

  /** What is not part of the execution, and the catalogue says: see `fields.version`. */
  async lookUp(names: readonly string[]): Promise<ReadonlyMap<string, JsonText>> {
    const found = new Map<string, JsonText>();
    for (const name of names) {
      const { workflow, version } = parseVersionField(name)!;
      const plan = await this.#options.plans.forStart(workflow, version).catch((error) => {
        if (error instanceof OrchyError && error.code === "NOT_FOUND") return error;
        throw error;
      });
      found.set(name, JSON.stringify(plan instanceof OrchyError ? plan.message : plan.version));
    }
    return found;
  }

  async foldScripts(box: Mailbox, decided: Decided): Promise<Decided> {
    let { decision, mail } = decided;
    let requests = decision.scripts;
    const until = decided.clock.now() + 2 * scriptFoldMs;
    while (requests.length > 0 || hasFreshScripts(box)) {
      const scripts = this.#options.scriptsOf(box);
      scripts.run(requests);
      requests = [];
      if (effectCount(decision) >= limits.commitEffectsMax / 2) break;
      if (decided.clock.now() >= until) break;
      if (box.mail.length === 0) await scripts.anything(scriptFoldMs);
      if (box.mail.length === 0) break;
      const next = takeBatch(box);
      const after = afterDecision(decided.before, decision);
      const second = this.#decide(box, after, next, decided);
      if ("need" in second || !fitsOnTop(decision, second)) {
        // It does not fit on top: commit what is decided; these events are decided next.
        box.mail.unshift(...next);
        break;
      }
      const taken = next.slice(0, second.answers.length);
      box.mail.unshift(...next.slice(second.answers.length));
      requests = second.scripts;
      decision = mergeDecisions(decision, second);
      mail = [...mail.slice(0, decision.answers.length - second.answers.length), ...taken];
      if (taken.some((item) => item.event.type !== "script")) {
        scripts.run(requests);
        break;
      }
    }
    return { ...decided, decision, mail };
  }
}

function fitsOnTop(first: Decision, second: Decision): boolean {
  return (
    effectCount(first) + effectCount(second) <= limits.commitEffectsMax &&
    rowCount(first) + rowCount(second) <= limits.commitRowsMax
  );
}
