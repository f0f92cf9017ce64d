/**
 * Saves and reads definitions: checked wholly, every problem reported at once, nothing half stored.
 */

import type { Clock } from "../../base/clock.ts";
import { OrchyError, type Problem } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import {
  type CheckedDefinition,
  checkActionDefinition,
  checkDefinition,
} from "../../language/check/check.ts";
import { untilForm } from "../../language/kinds/delay.ts";
import type { WorkflowDefinition } from "../../model/definition.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Formats } from "../peers/formats.ts";
import type { SavedWorkflow } from "../shared/orchestrator.ts";
import type { SaveActionOptions, SavedAction } from "../shared/saved-action.ts";
import type { ActionRegistry } from "./action-registry.ts";
import type { Plans } from "./plans.ts";

interface Options {
  readonly clock: Clock;
  readonly log: Logger;
  readonly sandbox: Sandbox;
  readonly plans: Plans;
  readonly registry: ActionRegistry;
  readonly formats: Pick<Formats, "written">;
}

const registeredMax = 10_000;

/** Servers of older formats read the numbers of definitions as doubles. */
const exactFormat = 3;

/** Names of other workflows that are looked up when a definition is saved. */
const workflowsSoughtMax = 20;

export class Workflows {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  async save(value: unknown, options: { lenient: boolean }): Promise<SavedWorkflow> {
    const { plans, clock } = this.#options;
    const { definition, warnings } = await this.check(value, options);
    const saved = await plans.save(definition, clock.now());
    return { name: definition.name, ...saved, warnings };
  }

  async check(
    value: unknown,
    options: { lenient: boolean },
  ): Promise<{ definition: WorkflowDefinition; warnings: readonly Problem[] }> {
    const { registry, sandbox, formats, clock } = this.#options;
    const registered = await registry.list(registeredMax);
    const knownActions = new Set(registered.map((action) => action.name));
    const checked = checkDefinition(value, { lenient: options.lenient, knownActions });
    const problems = [...checked.problems];
    for (const { pointer, expression } of checked.scripts) {
      const message = await sandbox.check(expression);
      if (message !== undefined) problems.push({ pointer, message });
    }
    problems.push(...tooNew(checked, formats.written()));
    const last = clock.now() + limits.secondsMax * 1000;
    for (const { pointer, at } of checked.moments) {
      if (at > last) problems.push({ pointer, message: `It must be ${untilForm}.` });
    }
    if (checked.definition === undefined || problems.length > 0) {
      throw refusal("workflow", problems);
    }
    const warnings = [...checked.warnings];
    if (checked.exactNumber !== undefined && formats.written() < exactFormat) {
      const message = "Servers of an earlier version, which may run now, round this number.";
      warnings.push({ pointer: checked.exactNumber, message });
    }
    warnings.push(...(await this.#unknownWorkflows(checked)));
    return { definition: checked.definition, warnings };
  }

  /** Workflows that are named and not there: they may be saved later. */
  async #unknownWorkflows({ definition, workflows }: CheckedDefinition): Promise<Problem[]> {
    const warnings: Problem[] = [];
    const names = new Set(workflows.map(({ name }) => name));
    names.delete(definition?.name ?? "");
    for (const name of [...names].slice(0, workflowsSoughtMax)) {
      const unknown = await this.#options.plans.unknown(name);
      if (unknown === undefined) continue;
      const message = `${unknown} It has to be saved before it is to run.`;
      const named = workflows.filter((found) => found.name === name);
      warnings.push(...named.map(({ pointer }) => ({ pointer, message })));
    }
    return warnings;
  }

  async saveAction(value: unknown, options: SaveActionOptions): Promise<SavedAction> {
    const { formats, registry } = this.#options;
    const { definition, warnings, ...checked } = checkActionDefinition(value, options);
    const problems = [...checked.problems, ...tooNew(checked, formats.written())];
    if (definition === undefined || problems.length > 0) throw refusal("action", problems);
    for (const { pointer, message } of warnings) {
      this.#options.log.warn("an action definition has a problem", { pointer, flaw: message });
    }
    return await registry.save(definition, { keepDeliver: options.byWorker === true });
  }
}

function refusal(what: string, problems: readonly Problem[]): OrchyError {
  const count = problems.length === 1 ? "a problem" : `${problems.length} problems`;
  return new OrchyError("DEFINITION_REFUSED", `The ${what} definition has ${count}.`, problems);
}

/** Features that servers of an earlier version, which may run beside this one, lack. */
function tooNew({ newThings }: Pick<CheckedDefinition, "newThings">, written: number): Problem[] {
  const unknown = newThings.filter(({ format }) => format > written);
  return unknown.map(({ pointer, what }) => {
    const message =
      `${what} needs newer servers: one that does not know it uses this store, or did a moment ` +
      "ago. Update all servers, and save again.";
    return { pointer, message };
  });
}
