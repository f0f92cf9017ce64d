/** What a workflow of the chaos run is made of, and what is known of its ends. */

export interface ShownAction {
  readonly id: string;
  readonly status: string;
  readonly child?: string;
  readonly error?: { readonly code: string; readonly message: string };
}

/** An execution as `GET /v1/executions/{id}` shows it. */
export interface Shown {
  readonly id: string;
  readonly status: string;
  readonly startedAt: string;
  readonly result?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
  readonly parent?: { readonly id: string; readonly action: string; readonly item?: number };
  readonly input: { readonly n: number; readonly route: string };
  readonly actions: readonly ShownAction[];
  // biome-ignore lint/suspicious/noExplicitAny: outputs are whatever the steps have made
  readonly data: Readonly<Record<string, { readonly output?: any }>>;
}

/** What is wrong with an end; undefined: nothing. */
export type Check = (shown: Shown) => string | undefined;

/** Operations of people on actions, and on executions that have ended. */
export type ByHand =
  | "by-hand"
  | "retry"
  | "open-and-retry"
  | "retry-child"
  | "rerun"
  | "fork"
  | "retry-now";

/** What must have become of the executions that an action has started. */
export interface Children {
  /** How many there are. Of those that are cancelled, some may not have been started. */
  readonly count: number;
  /** Default: COMPLETED. */
  readonly ends?: "FAILED" | "CANCELLED";
  /** Where the parent has the result of the child of this item. */
  readonly output?: (parent: Shown, item: number) => unknown;
}

export interface Kind {
  readonly name: string;
  /** How often it is started, compared with the others. */
  readonly weight: number;
  readonly ends: "COMPLETED" | "FAILED" | "CANCELLED";
  /** What is done to each execution once it has been started. */
  readonly afterwards?: "signal" | "pause" | "cancel" | "delete" | ByHand;
  readonly events?: readonly string[];
  /** Nothing is left of it when it has ended. */
  readonly vanishes?: true;
  /** Its end starts one execution of `chaos-after`. */
  readonly hasFollowUp?: true;
  readonly definition: object;
  /** By the action that starts them. */
  readonly children?: Readonly<Record<string, Children>>;
  /** How often these actions have completed, in all runs together. */
  readonly completions?: Readonly<Record<string, number>>;
  /** Steps that must have read the output of another one: [reader, source]. */
  readonly links?: readonly (readonly [reader: string, source: string])[];
  readonly check?: Check;
}

interface StepOptions {
  readonly after?: string;
  readonly next?: readonly string[];
  readonly name?: string;
  readonly parameters?: object;
  readonly rules?: object;
}

export function step(
  id: string,
  { after, next, name, parameters, rules }: StepOptions = {},
): object {
  const n = after === undefined ? "$.input.n" : `$.${after}.output.n`;
  const saw = after === undefined ? null : `$.${after}.output.run`;
  return {
    id,
    type: "user",
    name: name ?? "chaos-step",
    parameters: { n, saw, ...parameters },
    ...(next !== undefined && { next: { default: next } }),
    ...rules,
  };
}

export function system(id: string, name: string, rules: object): object {
  return { id, type: "system", name, ...rules };
}

/** A child of another workflow of the run. */
export function run(id: string, name: string, rules: object): object {
  return system(id, "workflow", { workflow: `chaos-${name}`, ...rules });
}

export function workflow(
  name: string,
  rootAction: string | string[],
  actions: object[],
  more = {},
) {
  return { name: `chaos-${name}`, rootAction, actions, ...more };
}

export function chain(name: string, length: number, more = {}): object {
  const actions = Array.from({ length }, (_, i) =>
    step(`s${i}`, {
      ...(i > 0 && { after: `s${i - 1}` }),
      ...(i + 1 < length && { next: [`s${i + 1}`] }),
    }),
  );
  return workflow(name, "s0", actions, more);
}

export function chainLinks(length: number): (readonly [string, string])[] {
  return Array.from({ length: length - 1 }, (_, i) => [`s${i + 1}`, `s${i}`] as const);
}

/** The steps in a row that ended with this action: `n` counts them. */
export function counts(action: string, steps: number): Check {
  return ({ data, input }) => {
    const n = data[action]?.output?.n;
    return n === input.n + steps ? undefined : `${action} has n = ${n}, not ${input.n + steps}`;
  };
}

export function failsWith(...codes: readonly string[]): Check {
  return ({ error }) =>
    error !== undefined && codes.includes(error.code) && error.message.length > 0
      ? undefined
      : `it failed with ${JSON.stringify(error)}`;
}
