/** loop: repeats a workflow, or an inline definition, while a condition holds. */
import type { ActionSpec } from "../../model/definition.ts";
import type { Json } from "../../model/json.ts";
import { type Condition, compileCondition, readsOf } from "../data/condition.ts";
import { mergeNeeds } from "../data/scope.ts";
import { compileTemplate, type Template } from "../data/template.ts";
import { condition } from "../readers/conditions.ts";
import { integer } from "../readers/fields.ts";
import { reader } from "../readers/reader.ts";
import { script, secondsTemplate } from "../readers/templates.ts";
import {
  type ChildTarget,
  checkVersion,
  childFields,
  childTargets,
  compileTarget,
} from "./child.ts";
import {
  type KindRules,
  needsOf,
  optionalTemplate,
  type PlanActionBase,
  type PlanContext,
} from "./kind.ts";

export interface LoopPlanAction extends PlanActionBase {
  readonly kind: "loop";
  readonly target: ChildTarget;
  /** Asked before each round: a script, or a condition. */
  readonly while: string | Condition;
  /** Of the condition. */
  readonly indexed: ReadonlySet<string>;
  readonly maxIterations: number;
  readonly delaySeconds: Template | undefined;
  /** Resolved for each round. */
  readonly parameters: Template;
}

interface LoopSpec extends ActionSpec {
  readonly while: Json;
  readonly maxIterations: number;
}

const whileSchema = { anyOf: [script.schema, condition.schema] };
const whileReader = reader(whileSchema, (value, pointer, report) =>
  typeof value === "string" ? script(value, pointer, report) : condition(value, pointer, report),
);

const defaultParameters = compileTemplate({ last: "$.last", iteration: "$.iteration" });

export const loop = {
  fields: [
    ...childFields,
    ["while", whileReader, "Asked before each round: a script, or a condition as of a switch."],
    ["maxIterations", integer(1, Number.MAX_SAFE_INTEGER), "Most rounds."],
    ["delaySeconds", secondsTemplate, "Seconds between two rounds, or a template for them."],
  ],
  required: ["while", "maxIterations"],
  either: childTargets,
  check: checkVersion,
  ownNames: ["last", "iteration"],
  repeats: "rounds",
  format: 4,
  compile(spec: LoopSpec & ActionSpec, base: PlanActionBase, of: PlanContext): LoopPlanAction {
    const { while: asked, maxIterations } = spec;
    const parameters = base.parameters ?? defaultParameters;
    const delaySeconds = optionalTemplate(spec.delaySeconds);
    const isScript = typeof asked === "string";
    const found = isScript ? asked : compileCondition(asked);
    const { needs: read, indexed } = readsOf(typeof found === "string" ? [] : [found]);
    const needs = mergeNeeds([
      needsOf([parameters, delaySeconds]),
      read,
      { outputs: [], input: isScript },
    ]);
    const target = compileTarget(spec, of);
    return {
      ...base,
      kind: "loop",
      target,
      while: found,
      indexed,
      maxIterations,
      delaySeconds,
      parameters,
      needs,
    };
  },
} satisfies KindRules;
