/**
 * Random flows that are cancelled, fail, are paused, retried and rerun on their way: in the end each
 * action is as the naive rules say of a flow that had nothing of it.
 */
import { expect, test } from "bun:test";
import { takeOver } from "../../../src/engine/fork.ts";
import { actionsFrom } from "../../../src/engine/operations/rerun.ts";
import type { PlanAction } from "../../../src/language/kinds/table.ts";
import type { ActionId } from "../../../src/model/definition.ts";
import { fields } from "../../../src/model/ids.ts";
import { Chance } from "../../support/chance.ts";
import type { World } from "../../support/world.ts";
import { beginFlow, endOf, runNaive } from "./compare.ts";
import type { Outcome } from "./naive.ts";
import { type Flow, randomFlow } from "./random-flow.ts";

type Seen = Record<string, number>;

const isOpen = ({ status }: World) => status === "RUNNING" || status === "PAUSED";

class Walk {
  world: World;
  readonly #flow: Flow;
  readonly #chance: Chance;
  readonly #outcomes: Map<ActionId, Outcome>;
  readonly #seen: Seen;

  constructor(seed: number, seen: Seen) {
    this.#chance = new Chance(seed);
    this.#seen = seen;
    const flow = randomFlow(this.#chance, { ordered: true });
    this.#flow = flow;
    this.#outcomes = new Map(flow.outcomes);
    this.world = beginFlow(flow);
    if (!this.#endsWell(12)) return;
    const naive = runNaive({ ...flow, outcomes: this.#outcomes }, (open) => [open[0]!]);
    const { errors: _errors, ...expected } = naive;
    expect({ seed, end: endOf(this.world) }).toEqual({ seed, end: expected });
  }

  /** False: a switch has no route, which no repeat changes. */
  #endsWell(interruptions: number): boolean {
    let left = interruptions;
    for (;;) {
      const { world } = this;
      if (world.execution.state.failure?.code === "NO_MATCHING_ROUTE") return false;
      if (world.status === "FAILED") this.#mend();
      else if (left > 0 && this.#chance.percent(30)) {
        left -= 1;
        this.#interrupt();
      } else if (isOpen(world)) this.#endOne();
      else return true;
    }
  }

  #endOne(): void {
    const keys = [...this.world.tasks.keys()].map((id) => id.slice(id.lastIndexOf(":") + 1));
    const key = this.#chance.pick(keys);
    const outcome = this.#outcomes.get(key);
    if (outcome !== undefined && "code" in outcome) this.world.fail(key, outcome.code);
    else this.world.complete(key);
  }

  /** The failure that ended it does not come again. */
  #mend(): void {
    const { action } = this.world.execution.state.failure!;
    this.#outcomes.set(action!, { route: "default" });
    if (this.#chance.percent(50)) this.#operate({ operation: "retry" });
    else this.#rerun();
  }

  #interrupt(): void {
    if (isOpen(this.world) && this.#chance.percent(60)) this.#operate({ operation: "cancel" });
    if (this.world.status === "CANCELLED" && this.#chance.percent(50))
      this.#operate({ operation: "retry" });
    else this.#rerun();
  }

  /** From any action that has run; its outcome may be another one from now on. */
  #rerun(): void {
    const { plan, execution } = this.world;
    const isForked = this.#chance.percent(30);
    const run = plan.actions.filter(({ index }) => {
      const { status = "PENDING" } = execution.records[index] ?? {};
      return status !== "PENDING" && status !== "SKIPPED";
    });
    if (run.length === 0) return;
    const action = this.#chance.pick(run);
    if (action.kind === "user") {
      const other = this.#chance.pick<Outcome>([{ route: "default" }, { code: "A" }]);
      this.#outcomes.set(action.key, other);
    }
    if (isForked) {
      this.#note(`fork of ${this.world.status}`);
      this.world = this.#fork(action);
      return;
    }
    if (isOpen(this.world)) this.#operate({ operation: "pause" });
    const after = actionsFrom(plan, action);
    const open = [...this.world.tasks.keys()].filter((id) => !this.#isAmong(after, id));
    const before = this.world.status;
    this.#operate({ operation: "rerun", action: action.key });
    if (before !== "PAUSED") return;
    // What was open elsewhere goes on as it was.
    for (const id of open) expect(this.world.tasks.has(id)).toBe(true);
    if (open.length > 0) this.#note("open elsewhere");
  }

  /** The walk goes on with the fork. */
  #fork(cut: PlanAction): World {
    const { plan, execution } = this.world;
    const taken = takeOver({ plan, execution }, plan, cut);
    if (!("size" in taken)) throw new Error(JSON.stringify(taken));
    const outputs = new Map<string, string>();
    for (const index of taken.keys()) {
      const { key } = plan.actions[index]!;
      const output = execution.data.get(fields.output(key));
      if (output !== undefined) outputs.set(key, output);
    }
    return beginFlow(this.#flow, { taken, outputs, details: "{}" });
  }

  #isAmong(indexes: ReadonlySet<number>, taskId: string): boolean {
    return indexes.has(this.world.plan.byKey.get(taskId.slice(taskId.lastIndexOf(":") + 1))!);
  }

  #operate(
    request:
      | { readonly operation: "cancel" | "pause" | "retry" }
      | { readonly operation: "rerun"; readonly action: string },
  ): void {
    this.#note(`${request.operation} of ${this.world.status}`);
    const [answer] = this.world.send({ type: "operation", ...request } as never);
    expect(answer).toEqual({ type: "accepted" });
  }

  #note(what: string): void {
    this.#seen[what] = (this.#seen[what] ?? 0) + 1;
  }
}

test("however often it is begun anew, a flow ends as if it had not been", () => {
  const seen: Seen = {};
  for (let seed = 1; seed <= 400; seed++) new Walk(seed, seen);
  for (const what of [
    ...["retry of CANCELLED", "retry of FAILED", "rerun of PAUSED", "rerun of CANCELLED"],
    ...["rerun of FAILED", "rerun of COMPLETED", "open elsewhere"],
    ...["fork of RUNNING", "fork of FAILED", "fork of COMPLETED", "fork of CANCELLED"],
  ]) {
    expect([what, (seen[what] ?? 0) > 20]).toEqual([what, true]);
  }
}, 60_000);
