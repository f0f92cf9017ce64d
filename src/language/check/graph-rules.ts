/** Checks what spans actions: ids, edges, cycles, roots, joins, and what references refer to. */
import { limits } from "../../base/limits.ts";
import type { Json } from "../../model/json.ts";
import type { Reference } from "../data/reference.ts";
import { factNames } from "../data/scope.ts";
import { Ancestors, countIncoming, orderOf, reachable } from "../graph.ts";
import type { KindRules } from "../kinds/kind.ts";
import { kindOf, kinds } from "../kinds/table.ts";
import { isObject, type ReadObject } from "../readers/fields.ts";
import { below, type FoundReference, nearestHint, quoted, type Report } from "../readers/report.ts";
import { countOf, warnOfHandlers } from "./handler-rules.ts";
import { assignedNames } from "./script-names.ts";

/** An action as far as it could be read. */
export interface ReadAction {
  readonly pointer: string;
  readonly spec: ReadObject;
  /** References in its own templates. */
  readonly references: readonly FoundReference[];
}

interface ReadDefinition {
  /** Where it stands; an inline definition stands in an action. */
  readonly pointer: string;
  readonly actions: readonly ReadAction[];
  readonly rootAction: Json | undefined;
  /** References in the definition's own templates: any action may have run before. */
  readonly references: readonly FoundReference[];
}

/** Reports what spans actions: ids, routes, cycles, joins, and what references may read. */
export function checkGraph(definition: ReadDefinition, report: Report): void {
  new GraphCheck(definition, report).run();
}

class GraphCheck {
  readonly #definition: ReadDefinition;
  readonly #actions: readonly ReadAction[];
  readonly #report: Report;
  readonly #positions = new Map<string, number>();
  readonly #targets: number[][] = [];
  #keys: readonly string[] = [];

  constructor(definition: ReadDefinition, report: Report) {
    this.#definition = definition;
    this.#actions = definition.actions;
    this.#report = report;
  }

  run(): void {
    this.#findIds();
    this.#followEdges();
    const incoming = countIncoming(this.#targets);
    const roots = this.#checkRoots(incoming);
    const { order, cycles } = orderOf(this.#targets);
    for (const cycle of cycles) this.#tellCycle(cycle);
    if (roots.length > 0) this.#tellUnreachable(roots);
    this.#checkJoins(incoming, new Set(roots));
    if (cycles.length === 0) {
      const [actions, positions, targets] = [this.#actions, this.#positions, this.#targets];
      warnOfHandlers({ actions, positions, targets, incoming }, this.#report);
    }
    const ancestors = cycles.length === 0 ? new Ancestors(this.#targets, order) : undefined;
    for (const found of this.#definition.references) this.#checkReference(found, undefined);
    for (const [position, action] of this.#actions.entries()) {
      const before = ancestors && ((other: number) => ancestors.has(position, other));
      for (const found of action.references) this.#checkReference(found, { action, before });
      this.#checkScript(action, (other) => ancestors?.has(other, position) ?? false);
    }
  }

  #findIds(): void {
    for (const [position, { spec, pointer }] of this.#actions.entries()) {
      if (spec.id === undefined) continue;
      const first = this.#positions.get(String(spec.id));
      if (first === undefined) {
        this.#positions.set(String(spec.id), position);
        continue;
      }
      const other = this.#actions[first]!.pointer;
      const message = `The id ${quoted(spec.id as string)} is already used by ${other}; give each action its own id.`;
      this.#report.problem(below(pointer, "id"), message);
    }
    this.#keys = [...this.#positions.keys()];
  }

  #followEdges(): void {
    let edges = 0;
    for (const [position, { spec, pointer }] of this.#actions.entries()) {
      const found = new Set<number>();
      for (const field of ["next", "onError"]) {
        const routes = spec[field];
        if (!isObject(routes)) continue;
        for (const [route, ids] of Object.entries(routes)) {
          const at = below(below(pointer, field), route);
          this.#followRoute(position, ids as Json, at, found);
        }
      }
      this.#targets.push([...found]);
      edges += found.size;
    }
    if (edges > limits.definitionEdgesMax) {
      const message = `The actions have ${edges} edges; at most ${limits.definitionEdgesMax} are allowed.`;
      this.#report.problem(below(this.#definition.pointer, "actions"), message);
    }
  }

  #followRoute(position: number, ids: Json, pointer: string, found: Set<number>): void {
    const list = Array.isArray(ids) ? ids : [ids];
    for (const [index, id] of list.entries()) {
      if (id === null) continue;
      const at = () => (Array.isArray(ids) ? below(pointer, index) : pointer);
      const target = this.#positions.get(String(id));
      if (target === undefined) {
        this.#report.problem(at(), () => this.#unknown(String(id)));
      } else if (target === position) {
        const hint = `To repeat an action, use a loop.`;
        this.#report.problem(at(), `Action ${quoted(id)} leads to itself. ${hint}`);
      } else {
        found.add(target);
      }
    }
  }

  #unknown(key: string): string {
    return `There is no action with the id ${quoted(key)}${this.#report.hintAmongMany(key, this.#keys)}.`;
  }

  /** Positions of the roots that exist. */
  #checkRoots(incoming: readonly number[]): number[] {
    const { rootAction, pointer } = this.#definition;
    const field = below(pointer, "rootAction");
    const roots: number[] = [];
    if (rootAction === undefined) return roots;
    const list = Array.isArray(rootAction) ? rootAction : [rootAction];
    for (const [index, id] of list.entries()) {
      if (id === null) continue;
      const at = Array.isArray(rootAction) ? below(field, index) : field;
      const root = this.#positions.get(String(id));
      if (root === undefined) {
        this.#report.problem(at, () => this.#unknown(String(id)));
      } else if (roots.includes(root)) {
        this.#report.problem(at, `The root ${quoted(id)} is listed twice.`);
      } else {
        roots.push(root);
        if (incoming[root]! > 0) this.#tellRootIsTarget(root, at);
      }
    }
    return roots;
  }

  #tellRootIsTarget(root: number, pointer: string): void {
    const source = this.#targets.findIndex((targets) => targets.includes(root));
    const names = `${this.#name(root)} is a root, and action ${this.#name(source)} leads to it as well`;
    this.#report.problem(pointer, `Action ${names}; it can only be one of both.`);
  }

  #name(position: number): string {
    return quoted(this.#actions[position]!.spec.id as string | number);
  }

  #tellCycle(cycle: readonly number[]): void {
    const shownMax = 30;
    const names = cycle.slice(0, shownMax).map((position) => this.#name(position));
    if (cycle.length > shownMax) names.push("…");
    const way = [...names, names[0]].join(" -> ");
    const pointer = this.#actions[cycle[0]!]!.pointer;
    const message = `These actions form a cycle: ${way}. To repeat actions, use a loop.`;
    this.#report.problem(pointer, message);
  }

  #tellUnreachable(roots: readonly number[]): void {
    const seen = reachable(this.#targets, roots);
    for (const [position, { spec, pointer }] of this.#actions.entries()) {
      if (seen[position] === 1 || this.#positions.get(String(spec.id)) !== position) continue;
      const message = `Action ${this.#name(position)} can never run: it cannot be reached from rootAction.`;
      this.#report.problem(pointer, message);
    }
  }

  #checkJoins(incoming: readonly number[], roots: ReadonlySet<number>): void {
    for (const [position, { spec, pointer }] of this.#actions.entries()) {
      const at = below(pointer, "join");
      const count = incoming[position]!;
      if (spec.join === undefined) continue;
      if (roots.has(position)) {
        this.#report.problem(at, "A root action has no incoming edges to join; remove the join.");
        continue;
      }
      const wanted = countOf(spec.join);
      if (typeof wanted === "number" && wanted > count && count > 0) {
        const message = `It waits for ${wanted} edges, but only ${count} lead here.`;
        this.#report.problem(isObject(spec.join) ? below(at, "count") : at, message);
      }
    }
  }

  #checkReference(
    { pointer, reference }: FoundReference,
    within: { action: ReadAction; before: ((other: number) => boolean) | undefined } | undefined,
  ): void {
    const { root } = reference;
    if (root.kind === "execution") this.#checkExecutionMember(reference, pointer);
    const rules = within && rulesOf(within.action.spec);
    if (root.kind === "own" && rules?.ownNames?.includes(root.key)) return;
    if (root.kind !== "action" && root.kind !== "own") return;
    const position = this.#positions.get(root.key);
    if (position === undefined) {
      const isInline = this.#definition.pointer !== "";
      const inline = "an inline definition reads its own actions and $.input, its parameters";
      const literal = isInline ? inline : "to write text that begins with $, write $$";
      this.#report.problem(pointer, () => {
        if (root.kind === "own") return `${ownOf(reference, root.key)}; ${literal}.`;
        const names = [...this.#keys, "input", "execution"];
        const what = `${quoted(reference.text)} refers to the unknown action ${quoted(root.key)}`;
        return `${what}${this.#report.hintAmongMany(root.key, names)}; ${literal}.`;
      });
      return;
    }
    const first = reference.steps[0];
    if (reference.where === "facts") {
      this.#report.isNew({ pointer, what: "A reference to more than an output", format: 4 });
    }
    if (reference.where === "root" && first?.kind === "member") {
      this.#report.warning(pointer, () => {
        const members = ["output", ...factNames];
        const hint = nearestHint(String(first.key), members);
        const which = members.map(quoted).join(", ");
        return `${quoted(reference.text)} finds nothing: an action has the members ${which}${hint}.`;
      });
    } else if (within?.before !== undefined && !within.before(position)) {
      if (rules?.repeats && pointer.startsWith(below(within.action.pointer, "parameters"))) {
        const message = `${quoted(reference.text)} must name an action that comes before this one: all its ${rules.repeats} must find the same.`;
        this.#report.problem(pointer, message);
        return;
      }
      const may = reference.where === "facts" ? "may be read too early" : "may find nothing";
      const message = `${quoted(reference.text)} ${may}: action ${quoted(root.key)} does not come before this one.`;
      this.#report.warning(pointer, message);
    }
  }

  /** Properties of `$` that the script sets, and that may hold something else already. */
  #checkScript({ pointer, spec }: ReadAction, isLater: (other: number) => boolean): void {
    const field = rulesOf(spec)?.script;
    if (field === undefined || typeof spec[field] !== "string") return;
    for (const name of assignedNames(spec[field])) {
      const set = `The script sets ${quoted(name)} on $`;
      const at = below(pointer, field);
      if (name === "input" || name === "execution") {
        this.#report.warning(at, `${set}, which is never output: choose another name.`);
        continue;
      }
      const other = this.#positions.get(name);
      if (other === undefined || this.#actions[other]!.spec === spec || isLater(other)) continue;
      const becomes = `it becomes "${name}" of this action's output, and what that action has put out`;
      const message = `${set}, which is also the id of an action: ${becomes} is not seen there any more.`;
      this.#report.warning(at, message);
    }
  }

  #checkExecutionMember(reference: Reference, pointer: string): void {
    const first = reference.steps[0];
    if (first?.kind !== "member") return;
    if (first.key === "error") {
      this.#report.isNew({ pointer, what: "A reference to $.execution.error", format: 4 });
    }
    if (executionMembers.includes(String(first.key))) return;
    this.#report.warning(pointer, () => {
      const hint = nearestHint(String(first.key), executionMembers);
      return `${quoted(reference.text)} finds nothing: $.execution has no such member${hint}.`;
    });
  }
}

const executionMembers = ["id", "workflow", "version", "startedAt", "correlationId", "error"];

function rulesOf(spec: ReadObject): KindRules | undefined {
  const kind = kindOf(spec);
  return kind && kinds[kind];
}

function ownOf({ text }: Reference, key: string): string {
  const [kind] = Object.entries<KindRules>(kinds).find(([, rules]) =>
    rules.ownNames?.includes(key),
  )!;
  return `${quoted(text)} exists only in the templates of a ${kind} action`;
}
