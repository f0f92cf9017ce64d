/**
 * What must hold between parents and their children: none waits for a child that has ended, no child is
 * lost, and none that is not detached goes on when its parent waits for it no more.
 */
import type { PlanAction } from "../../src/language/kinds/table.ts";
import { childIdOf } from "../../src/model/child.ts";
import { type ActionRecord, type Execution, isOpen } from "../../src/model/execution.ts";
import type { Message } from "../../src/model/message.ts";
import type { Life } from "./life.ts";

export class Families {
  readonly #lives: ReadonlyMap<string, Life>;
  readonly #reached: Set<string>;
  readonly #violate: (sentence: string) => void;
  /** By the source and the id of the message. */
  readonly #messages = new Map<string, Message>();
  /** Children that their parents have ended. */
  readonly #cancelled = new Set<string>();

  constructor(
    lives: ReadonlyMap<string, Life>,
    reached: Set<string>,
    violate: (sentence: string) => void,
  ) {
    this.#lives = lives;
    this.#reached = reached;
    this.#violate = violate;
  }

  sent(name: string, message: Message): void {
    this.#messages.set(name, message);
    if (message.type === "cancel-child") this.#cancelled.add(childIdOf(message.parent));
  }

  /** What the message was for has been done: it does not come again. */
  acknowledged(name: string): void {
    const message = this.#messages.get(name);
    switch (message?.type) {
      case "start-child": {
        const id = childIdOf(message.parent);
        if (!this.#lives.has(id)) this.#violate(`the start of the child ${id} was put away`);
        return;
      }
      case "child-ended":
        if (this.#awaits(message.parent)) {
          this.#violate(`${message.parent.id} waits for a child that has ended`);
        }
        return;
      case "cancel-child": {
        const id = childIdOf(message.parent);
        const child = this.#lives.get(id);
        this.#reached.add("child cancelled");
        if (child !== undefined && isOpen(child.status)) {
          this.#violate(`the child ${id} goes on, and its parent has ended it`);
        }
        return;
      }
      default:
    }
  }

  /** The parent of this commit may have taken the end of a child. */
  committed(before: Execution, parent: Life): void {
    for (const [index, record] of before.records.entries()) {
      if (record?.status !== "WAITING" || record.child === undefined) continue;
      const after = parent.execution.records[index];
      const isSame = after?.status === "WAITING" && after.child === record.child;
      if (isSame || after?.status === "CANCELLED") continue;
      const child = this.#lives.get(record.child);
      if (child === undefined) continue;
      this.#reached.add(after?.rounds === undefined ? "child ended" : "round ended");
      if (!isOpen(child.status) || record.dueAt !== undefined) continue;
      this.#violate(`${parent.key.id} has taken the end of a child, and ${record.child} goes on`);
    }
  }

  #awaits({ id, action, handout }: { id: string; action: string; handout: number }): boolean {
    const parent = this.#lives.get(id);
    if (parent === undefined || parent.isRemoved || !isOpen(parent.status)) return false;
    const record = parent.execution.records[parent.plan.byKey.get(action) ?? -1];
    return record?.status === "WAITING" && record.handout === handout;
  }

  /** When all has come to its end. */
  check(): void {
    for (const parent of this.#lives.values()) {
      if (parent.isRemoved) continue;
      for (const action of parent.plan.actions) {
        const record = parent.execution.records[action.index];
        if (record?.child !== undefined) this.#checkAction(parent, action, record);
      }
    }
  }

  #checkAction(parent: Life, action: PlanAction, record: ActionRecord): void {
    const child = this.#lives.get(record.child!);
    const name = `${parent.key.id} ${action.key}`;
    if (child === undefined) {
      // Its start was never delivered, or its parent ended before.
      if (record.status === "COMPLETED") this.#violate(`the child of ${name} is lost`);
      return;
    }
    if (record.status === "CANCELLED") {
      const { endedAt = 0 } = child.execution.state;
      // Between two rounds the parent has taken the end of the child; clocks may not have it so.
      const isTaken = record.dueAt !== undefined && !isOpen(child.status);
      const isBefore = isTaken || endedAt <= (record.endedAt ?? 0);
      if (!isBefore && !this.#cancelled.has(child.key.id))
        this.#violate(`the child of ${name} was left alone`);
    }
    if (record.status !== "COMPLETED" || record.failure !== undefined) return;
    if (action.kind === "workflow" && !action.detach && child.status !== "COMPLETED") {
      this.#violate(`${name} is COMPLETED, and its child is ${child.status}`);
    }
  }
}
