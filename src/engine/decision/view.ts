/** `$` as templates and references of a decision see it: with what the decision has written so far. */
import { defined } from "../../base/defined.ts";
import type { Scope } from "../../language/data/scope.ts";
import type { Plan } from "../../language/plan.ts";
import type { ExecutionState } from "../../model/execution.ts";
import { fields } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";

/** What the view looks at. */
interface Viewed {
  readonly plan: Plan;
  readonly state: ExecutionState;
  read(field: string): JsonText | undefined;
  hasOutput(index: number): boolean;
}

export class View implements Scope {
  readonly #of: Viewed;
  #execution: string | undefined;

  constructor(of: Viewed) {
    this.#of = of;
  }

  get input(): JsonText {
    return this.#of.read(fields.input) ?? "null";
  }

  get execution(): JsonText {
    this.#execution ??= executionText(this.#of.state);
    return this.#execution;
  }

  output(key: string): JsonText | undefined {
    const index = this.#of.plan.byKey.get(key);
    if (index === undefined || !this.#of.hasOutput(index)) return undefined;
    return this.#of.read(fields.output(key));
  }

  outputKeys(): readonly string[] {
    const withOutput = this.#of.plan.actions.filter(({ index }) => this.#of.hasOutput(index));
    return withOutput.map(({ key }) => key);
  }
}

/** `$.execution` as text. */
function executionText(state: ExecutionState): JsonText {
  return JSON.stringify({
    id: state.id,
    workflow: state.workflow,
    version: state.version,
    startedAt: new Date(state.startedAt).toISOString(),
    ...defined({ correlationId: state.correlationId }),
  });
}
