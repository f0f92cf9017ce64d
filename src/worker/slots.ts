/**
 * How many tasks of each action this worker can take. A poll reserves what it requests under
 * each of its names, so whatever mix comes back, no action ever holds more than its concurrency.
 */
import { limits } from "../base/limits.ts";

export interface Ask {
  readonly actions: readonly string[];
  readonly maxTasks: number;
}

interface ActionSlots {
  readonly concurrency: number;
  running: number;
  /** What polls under way may bring. */
  reserved: number;
}

const tasksPerPollMax = Math.min(100, limits.pollTasksMax);

export class Slots {
  private readonly byAction = new Map<string, ActionSlots>();

  add(action: string, concurrency: number): void {
    this.byAction.set(action, { concurrency, running: 0, reserved: 0 });
  }

  has(action: string): boolean {
    return this.byAction.has(action);
  }

  /**
   * What the next poll may request, or undefined without slots. `sharing`: how many polls, with this
   * one, are to divide the free slots.
   */
  ask(sharing: number): Ask | undefined {
    const actions: string[] = [];
    let least = Number.POSITIVE_INFINITY;
    let most = 0;
    for (const [action, slots] of this.byAction) {
      const free = slots.concurrency - slots.running - slots.reserved;
      if (free <= 0 || actions.length === limits.pollActionsMax) continue;
      actions.push(action);
      least = Math.min(least, free);
      most = Math.max(most, free);
    }
    if (actions.length === 0) return undefined;
    // With unequal counts the smallest is requested whole: the polls that follow leave it out.
    const share = least < most ? least : Math.ceil(least / sharing);
    return { actions, maxTasks: Math.min(share, tasksPerPollMax) };
  }

  /** Some action has many more free slots than the polls under way request. */
  get wanting(): boolean {
    for (const { concurrency, running, reserved } of this.byAction.values()) {
      const available = concurrency - running;
      const wanted = Math.min(available / 2, tasksPerPollMax);
      if (available > 0 && reserved < wanted) return true;
    }
    return false;
  }

  reserve({ actions, maxTasks }: Ask): void {
    for (const action of actions) this.byAction.get(action)!.reserved += maxTasks;
  }

  unreserve({ actions, maxTasks }: Ask): void {
    for (const action of actions) this.byAction.get(action)!.reserved -= maxTasks;
  }

  enter(action: string): void {
    this.byAction.get(action)!.running += 1;
  }

  leave(action: string): void {
    this.byAction.get(action)!.running -= 1;
  }
}
