/** The part of a draft that gathers the effects that a decision requests, within one commit. */
import { limits } from "../../base/limits.ts";
import type {
  Decision,
  NewMessage,
  NewTask,
  NewTimer,
  ScriptRequest,
  WaitingScript,
} from "../../model/decision.ts";
import type { JsonText } from "../../model/json.ts";

export class Effects {
  changed = false;
  readonly scripts: ScriptRequest[] = [];
  readonly waitingScripts: WaitingScript[] = [];
  protected readonly settled: Decision["settle"][number][] = [];
  protected readonly expired: Decision["expire"][number][] = [];
  protected readonly consumed: Decision["consumeTimers"][number][] = [];
  protected readonly tasks: NewTask[] = [];
  protected readonly droppedTasks: string[] = [];
  protected readonly timers: NewTimer[] = [];
  protected readonly droppedTimers: string[] = [];
  protected readonly messages: NewMessage[] = [];
  /** So far, of the rows of this commit. */
  protected effectCount = 0;
  #bytes = 0;

  addTask(task: NewTask): void {
    this.tasks.push(task);
    this.weigh(task.parameters.length + task.header.length);
    this.#add();
  }

  /** The store drops before it adds: what this decision itself added is just not added. */
  dropTask(id: string): void {
    removeById(this.tasks, id);
    this.droppedTasks.push(id);
    this.#add();
  }

  addTimer(id: string, at: number): void {
    this.timers.push({ id, at });
    this.#add();
  }

  dropTimer(id: string): void {
    removeById(this.timers, id);
    this.droppedTimers.push(id);
    this.#add();
  }

  addMessage(id: string, body: JsonText): void {
    this.messages.push({ id, body });
    this.weigh(body.length);
    this.#add();
  }

  settle(taskId: string, token: string | null): void {
    this.settled.push({ taskId, token });
    this.#add();
  }

  expire(taskId: string, token: string | null, until: number): void {
    this.expired.push({ taskId, token, until });
    this.#add();
  }

  consumeTimer(id: string, claimId: string): void {
    this.consumed.push({ id, claimId });
    this.#add();
  }

  /** Whether one more action or event still fits this commit, whatever it brings. */
  hasRoom(): boolean {
    const bytesMax = limits.commitBytesMax - limits.payloadBytesMax;
    return this.effectCount <= limits.commitEffectsMax - 6 && this.#bytes < bytesMax;
  }

  /** Adds to the bytes of the commit. */
  protected weigh(bytes: number): void {
    this.#bytes += bytes;
  }

  #add(): void {
    this.effectCount += 1;
    this.changed = true;
  }
}

function removeById(items: { readonly id: string }[], id: string): void {
  const index = items.findIndex((item) => item.id === id);
  if (index >= 0) items.splice(index, 1);
}
