/** Paths and the filters in them, as they are once they are parsed. */
import type { JsonText } from "../../model/json.ts";

export type PathStep =
  | { readonly kind: "member"; readonly key: string | number }
  | { readonly kind: "wildcard" }
  | { readonly kind: "union"; readonly keys: readonly (string | number)[] }
  | { readonly kind: "slice"; readonly start?: number; readonly end?: number; readonly by: number }
  | { readonly kind: "filter"; readonly filter: Filter }
  /** The value itself and all that is inside; another step always follows. */
  | { readonly kind: "descendants" };

/** A condition on one value, `@`. */
export type Filter =
  | { readonly kind: "or" | "and"; readonly parts: readonly Filter[] }
  | { readonly kind: "not"; readonly part: Filter }
  | { readonly kind: "exists"; readonly query: FilterQuery }
  | {
      readonly kind: "compare";
      readonly operator: CompareOperator;
      readonly left: Operand;
      readonly right: Operand;
    };

export type CompareOperator = "==" | "!=" | "<" | "<=" | ">" | ">=";

/** A path in a filter: from the value that is tested, or from the data of the execution. */
export interface FilterQuery {
  readonly from: "@" | "$";
  /** As written. */
  readonly text: string;
  readonly steps: readonly PathStep[];
}

export type Operand = FilterQuery | { readonly from: "literal"; readonly text: JsonText };

/** Whether the path means one value at most; any other path means a list. */
export function isDefinite(steps: readonly PathStep[]): boolean {
  return steps.every((step) => step.kind === "member");
}

export function hasFilter(steps: readonly PathStep[]): boolean {
  return steps.some((step) => step.kind === "filter");
}

/** The paths that begin with `$` in the filters of a path, without those inside each other. */
export function outerQueries(steps: readonly PathStep[]): readonly FilterQuery[] {
  return steps.flatMap((step) => (step.kind === "filter" ? queriesOf(step.filter) : []));
}

function queriesOf(filter: Filter): readonly FilterQuery[] {
  switch (filter.kind) {
    case "or":
    case "and":
      return filter.parts.flatMap(queriesOf);
    case "not":
      return queriesOf(filter.part);
    case "exists":
      return outerOf(filter.query);
    case "compare":
      return [...outerOf(filter.left), ...outerOf(filter.right)];
  }
}

function outerOf(operand: Operand): readonly FilterQuery[] {
  if (operand.from === "literal") return [];
  return operand.from === "$" ? [operand] : outerQueries(operand.steps);
}
