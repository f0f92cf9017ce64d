/**
 * The rules of flow a second time, as plainly as the language states them: no records, no counts, no
 * sets that are carried along. Every question is asked of the whole graph each time. It knows nothing
 * of the engine, which is compared with it.
 *
 * What is given: a definition whose actions are written in a topological order, what becomes of each
 * action that starts, and which of the open ones ends next.
 */
import type { ActionId, ActionSpec, WorkflowDefinition } from "../../../src/model/definition.ts";

/** What becomes of an action once it has started. */
export type Outcome = { readonly route: string } | { readonly code: string };

export interface NaiveRun {
  readonly definition: WorkflowDefinition;
  readonly outcomeOf: (id: ActionId) => Outcome;
  /** Ends at once when it starts. */
  readonly isImmediate: (id: ActionId) => boolean;
  /** Which of the open actions, in the order of their starts, end next, before anything starts. */
  readonly pick: (open: readonly ActionId[]) => readonly ActionId[];
}

export type NaiveStatus =
  | "PENDING"
  | "READY"
  | "OPEN"
  | "COMPLETED"
  | "FAILED"
  | "SKIPPED"
  | "CANCELLED";

export interface NaiveEnd {
  readonly status: "COMPLETED" | "FAILED";
  /** What failed the execution. */
  readonly failed?: { readonly action: ActionId; readonly code: string };
  readonly statuses: ReadonlyMap<ActionId, NaiveStatus>;
  /** Why: the failed actions, a lost race, or none of them: a dead path. */
  readonly skipped: ReadonlyMap<ActionId, readonly ActionId[] | "lost race">;
  /** What `$.execution.error` names in each action that started. */
  readonly errors: ReadonlyMap<ActionId, ActionId | null>;
}

type Edge =
  | { readonly state: "undecided" | "taken" }
  | { readonly state: "dead"; readonly causes: readonly ActionId[] };

export class Naive {
  readonly #run: NaiveRun;
  readonly #actions: readonly ActionSpec[];
  readonly #statuses = new Map<ActionId, NaiveStatus>();
  /** Targets of the route that an ended action took. */
  readonly #taken = new Map<ActionId, readonly ActionId[]>();
  readonly #skipped = new Map<ActionId, readonly ActionId[] | "lost race">();
  readonly #errors = new Map<ActionId, ActionId | null>();
  /** Failures that were routed, in the order of history. */
  readonly #routed: ActionId[] = [];
  /** Joins that failed. */
  readonly #notMet = new Set<ActionId>();
  #ready: ActionId[] = [];
  #open: ActionId[] = [];
  #failed: NaiveEnd["failed"];

  constructor(run: NaiveRun) {
    this.#run = run;
    this.#actions = run.definition.actions;
    for (const { id } of this.#actions) this.#statuses.set(id, "PENDING");
  }

  /** To the end of the execution. */
  finish(): NaiveEnd {
    const roots = [this.#run.definition.rootAction].flat();
    for (const { id } of this.#actions) if (roots.includes(id)) this.#makeReady(id);
    while (this.#failed === undefined) {
      const started = this.#ready.shift();
      if (started !== undefined) {
        this.#start(started);
        if (this.#run.isImmediate(started)) this.#end(started);
      } else if (this.#open.length > 0) {
        // One may end the execution, or the race that another one takes part in.
        for (const id of this.#run.pick(this.#open)) if (this.#open.includes(id)) this.#end(id);
      } else break;
    }
    if (this.#failed !== undefined) {
      for (const id of this.#open) this.#statuses.set(id, "CANCELLED");
      for (const id of this.#ready) this.#statuses.set(id, "PENDING");
    }
    return {
      status: this.#failed === undefined ? "COMPLETED" : "FAILED",
      ...(this.#failed !== undefined && { failed: this.#failed }),
      statuses: this.#statuses,
      skipped: this.#skipped,
      errors: this.#errors,
    };
  }

  #makeReady(id: ActionId): void {
    this.#statuses.set(id, "READY");
    this.#ready.push(id);
  }

  #start(id: ActionId): void {
    this.#statuses.set(id, "OPEN");
    this.#open.push(id);
    const own = this.#specOf(id).join === "settled" ? this.#deadCauses(id) : [];
    const recovered = new Set([...this.#recovered(id), ...own]);
    this.#errors.set(id, this.#routed.findLast((failed) => recovered.has(failed)) ?? null);
  }

  #end(id: ActionId): void {
    if (this.#failed !== undefined) return;
    this.#open = this.#open.filter((other) => other !== id);
    const outcome = this.#run.outcomeOf(id);
    if ("code" in outcome) this.#fail(id, outcome.code);
    else this.#complete(id, outcome.route);
    this.#decideJoins();
  }

  #complete(id: ActionId, route: string): void {
    this.#statuses.set(id, "COMPLETED");
    this.#taken.set(id, [this.#specOf(id).next?.[route] ?? []].flat());
  }

  #fail(id: ActionId, code: string): void {
    const { onError = {}, optional } = this.#specOf(id);
    const route = code in onError ? code : "default";
    if (route in onError) {
      this.#statuses.set(id, "FAILED");
      this.#taken.set(id, [onError[route]!].flat());
      this.#routed.push(id);
    } else if (optional) {
      this.#complete(id, "default");
    } else {
      this.#statuses.set(id, "FAILED");
      this.#failed = { action: id, code };
    }
  }

  /** Until no action is left that can be decided; what comes before is decided before. */
  #decideJoins(): void {
    for (let at = 0; at < this.#actions.length && this.#failed === undefined; ) {
      const { id } = this.#actions[at]!;
      const isDecided = this.#statuses.get(id) === "PENDING" && this.#decideJoin(id);
      at = isDecided ? 0 : at + 1;
    }
  }

  /** False: it has to wait. */
  #decideJoin(id: ActionId): boolean {
    const sources = this.#sources(id);
    if (sources.length === 0) return false;
    const { join = "all" } = this.#specOf(id);
    const edges = sources.map((source) => this.#edge(source, id));
    const taken = edges.filter(({ state }) => state === "taken").length;
    const undecided = edges.filter(({ state }) => state === "undecided").length;
    const causes = this.#deadCauses(id);
    if (join === "all" || join === "succeeded" || join === "settled") {
      if (undecided > 0) return false;
      const recovered = this.#recovered(id);
      const unrecovered = causes.filter((cause) => !recovered.has(cause));
      if (join === "settled" && (taken > 0 || causes.length > 0)) this.#makeReady(id);
      else if (join === "settled") this.#skip(id, []);
      else if (join === "succeeded" && causes.length > 0) this.#skip(id, causes);
      else if (taken > 0 && unrecovered.length === 0) this.#makeReady(id);
      else this.#skip(id, unrecovered);
      return true;
    }
    const count = typeof join === "object" ? join.count : join;
    const wanted = count === "any" ? 1 : count;
    const cancelsRest = typeof join === "object";
    if (taken >= wanted) {
      this.#makeReady(id);
      if (cancelsRest) this.#cancelRest(id);
      return true;
    }
    if (taken + undecided >= wanted) return false;
    if (taken > 0) {
      this.#notMet.add(id);
      this.#fail(id, "JOIN_NOT_MET");
      if (cancelsRest && this.#failed === undefined) this.#cancelRest(id);
      return true;
    }
    if (undecided > 0) return false;
    this.#skip(id, causes);
    return true;
  }

  #skip(id: ActionId, causes: readonly ActionId[]): void {
    this.#statuses.set(id, "SKIPPED");
    this.#taken.set(id, []);
    this.#skipped.set(id, causes);
  }

  #cancelRest(join: ActionId): void {
    for (const { id } of this.#actions) {
      if (id === join || !this.#everyWayPasses(id, join)) continue;
      const status = this.#statuses.get(id);
      if (status !== "PENDING" && status !== "READY" && status !== "OPEN") continue;
      this.#statuses.set(id, status === "OPEN" ? "CANCELLED" : "SKIPPED");
      this.#taken.set(id, []);
      this.#skipped.set(id, "lost race");
      this.#ready = this.#ready.filter((other) => other !== id);
      this.#open = this.#open.filter((other) => other !== id);
    }
  }

  #everyWayPasses(id: ActionId, join: ActionId): boolean {
    const targets = this.#nextTargets(id);
    if (targets.length === 0) return false;
    return targets.every((target) => target === join || this.#everyWayPasses(target, join));
  }

  #edge(source: ActionId, target: ActionId): Edge {
    const taken = this.#taken.get(source);
    if (taken === undefined) return { state: "undecided" };
    if (taken.includes(target)) return { state: "taken" };
    const isNext = this.#nextTargets(source).includes(target);
    if (!isNext) return { state: "dead", causes: [] };
    if (this.#statuses.get(source) === "FAILED") return { state: "dead", causes: [source] };
    const skipped = this.#skipped.get(source);
    return { state: "dead", causes: Array.isArray(skipped) ? skipped : [] };
  }

  #deadCauses(id: ActionId): ActionId[] {
    const edges = this.#sources(id).map((source) => this.#edge(source, id));
    const causes = edges.flatMap((edge) => (edge.state === "dead" ? edge.causes : []));
    return this.#actions.map((action) => action.id).filter((cause) => causes.includes(cause));
  }

  /** Failures that a way of taken edges recovers at an action. */
  #recovered(id: ActionId): Set<ActionId> {
    const recovered = new Set<ActionId>();
    for (const before of this.#onTakenWaysTo(id)) {
      if (this.#statuses.get(before) === "FAILED") recovered.add(before);
      const standsFor = this.#specOf(before).join === "settled" || this.#notMet.has(before);
      if (standsFor) for (const cause of this.#deadCauses(before)) recovered.add(cause);
    }
    return recovered;
  }

  /** Actions from which a way of taken edges leads to this one. */
  #onTakenWaysTo(id: ActionId): Set<ActionId> {
    const found = new Set<ActionId>();
    const look = (target: ActionId) => {
      for (const source of this.#sources(target)) {
        if (this.#edge(source, target).state !== "taken" || found.has(source)) continue;
        found.add(source);
        look(source);
      }
    };
    look(id);
    return found;
  }

  #sources(target: ActionId): ActionId[] {
    const leadsHere = ({ next, onError }: ActionSpec) =>
      [next, onError].some((routes) =>
        Object.values(routes ?? {})
          .flat()
          .includes(target),
      );
    return this.#actions.filter(leadsHere).map(({ id }) => id);
  }

  #nextTargets(id: ActionId): ActionId[] {
    return Object.values(this.#specOf(id).next ?? {}).flat();
  }

  #specOf(id: ActionId): ActionSpec {
    return this.#actions.find((action) => action.id === id)!;
  }
}
