/** `$` as templates and references of a decision see it: with what the decision has written so far. */
import { defined } from "../../base/defined.ts";
import type { Scope } from "../../language/data/scope.ts";
import type { Plan } from "../../language/plan.ts";
import type { ActionRecord, ExecutionState } from "../../model/execution.ts";
import { fields } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";

/** What the view looks at. */
interface Viewed {
  readonly plan: Plan;
  readonly state: ExecutionState;
  read(field: string): JsonText | undefined;
  hasOutput(index: number): boolean;
  record(index: number): ActionRecord;
  handledFailure(): JsonText;
  output(key: string, index: number): JsonText | undefined;
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
    if (!hasFacts(this.#of)) return this.#execution;
    return `${this.#execution.slice(0, -1)},"error":${this.#of.handledFailure()}}`;
  }

  output(key: string): JsonText | undefined {
    const index = this.#of.plan.byKey.get(key);
    if (index === undefined || !this.#of.hasOutput(index)) return undefined;
    return this.#of.output(key, index);
  }

  facts(key: string): JsonText | undefined {
    const index = this.#of.plan.byKey.get(key);
    if (index === undefined || !hasFacts(this.#of)) return undefined;
    const { status, failure, startedAt, endedAt } = this.#of.record(index);
    return JSON.stringify({
      status,
      error: failure ?? null,
      startedAt: isoTime(startedAt),
      endedAt: isoTime(endedAt),
    });
  }

  actionKeys(): readonly string[] {
    const { plan } = this.#of;
    if (hasFacts(this.#of)) return [...plan.byKey.keys()];
    return plan.actions.filter(({ index }) => this.#of.hasOutput(index)).map(({ key }) => key);
  }
}

/** Executions that began before format 4 read what they read then. */
function hasFacts({ state }: Viewed): boolean {
  return state.failuresTravel === true;
}

function isoTime(moment: number | undefined): string | null {
  return moment === undefined ? null : new Date(moment).toISOString();
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
