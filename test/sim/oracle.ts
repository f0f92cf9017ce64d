/**
 * What was promised to workers and clients, against what the store holds: at the moment of each
 * answer, and once more at the end, when every fault has healed.
 */

import type { OrchyError } from "../../src/base/errors.ts";
import { chunkItems, outcomeIn, recordChunkOf } from "../../src/engine/stored/items.ts";
import { elementsOf } from "../../src/language/data/json-text.ts";
import { structFault } from "../../src/language/data/struct-form.ts";
import type { Plan } from "../../src/language/plan.ts";
import type { TaskOutcome } from "../../src/model/event.ts";
import { type ExecutionStatus, isOpen } from "../../src/model/execution.ts";
import { fields, parseTaskId, parseToken, type TaskId } from "../../src/model/ids.ts";
import type {
  ResultAnswerType,
  ResultSent,
  StartAnswer,
} from "../../src/runtime/shared/orchestrator.ts";
import type { PolledTask } from "../../src/runtime/shared/polled-task.ts";
import { hasCause } from "../support/causes.ts";
import { idealEnd } from "./ideal.ts";
import type { Life } from "./life.ts";
import type { Loop } from "./loop.ts";
import type { Evaluate } from "./scripts.ts";
import type { Witness } from "./witness.ts";

export interface StartSent {
  readonly name: string;
  readonly workflow: string;
  readonly idempotencyKey?: string;
  /** Ids that servers have returned. */
  readonly ids: Set<string>;
  /** The server said that nothing was changed, and it was asked once. */
  wasRefused: boolean;
}

export interface SignalSent {
  readonly executionId: string;
  readonly signalId: string;
  readonly payload: string;
  isAccepted: boolean;
}

export class Oracle {
  readonly starts: StartSent[] = [];
  readonly signals: SignalSent[] = [];
  /** Executions of which somebody has ended an action. */
  readonly byHand = new Set<string>();
  /** Of forks: what they are of. */
  readonly forkOf = new Map<string, string>();
  /** Executions that were started when nothing failed any more. */
  readonly calm = new Set<string>();
  readonly witness: Witness;
  readonly #loop: Loop;
  readonly #createdTold = new Set<string>();
  readonly #versions = new Map<string, number>();

  constructor(loop: Loop, witness: Witness) {
    this.#loop = loop;
    this.witness = witness;
  }

  #violate(sentence: string): void {
    this.#loop.violate(sentence);
  }

  // At the moment of an answer

  /** Refusals are expected; faults of Orchy itself never are. */
  refused(error: OrchyError): void {
    if (error.code === "INTERNAL") this.#violate(`a call failed inside: ${error.message}`);
  }

  taskTaken(task: PolledTask, worker: string, { takesJson }: { takesJson: boolean }): void {
    if (structFault(task) !== undefined) {
      this.#loop.reached.add("task for JSON");
      if (!takesJson) this.#violate(`${worker} was given ${task.token}, which fits no Struct`);
    }
    if (this.witness.leases.granted.has(task.token)) return;
    this.#violate(`${worker} was given ${task.token}, which the store never leased`);
  }

  resultsAnswered(results: readonly ResultSent[], answers: readonly ResultAnswerType[]): void {
    for (const [index, { token, outcome }] of results.entries()) {
      const answer = answers[index];
      const taskId = parseToken(token)!.taskId;
      const task = parseTaskId(taskId)!;
      const life = this.witness.lives.get(task.executionId);
      const isSettled = this.witness.leases.settled.has(token);
      // A later run may have reset what the result has led to.
      const isOld = (life?.execution.state.run ?? 1) > task.run;
      this.#loop.note(`the result of ${token} is ${answer}`);
      this.#loop.reached.add(`result ${answer}`);
      if (answer === "accepted" || answer === "duplicate") {
        if (!isSettled) this.#violate(`the result of ${token} is ${answer}, and settled nothing`);
        const output = life && outputOf(life, task);
        if (outcome.ok && output !== outcome.output && !isOld) {
          this.#violate(`the result of ${token} is ${answer}, and its output is ${output}`);
        }
      } else if (answer === "stale" && this.witness.leases.isLive(token) && !isClosing(life)) {
        this.#violate(`the result of ${token} is stale, and it holds its task`);
      } else if (answer === "stale" && isSettled && !isOld && life?.isRemoved === false) {
        this.#violate(`the result of ${token} counted, and its repeat is stale`);
      }
    }
  }

  ticketClaimed(taskId: string, status: string): void {
    this.#loop.note(`the ticket of ${taskId} is ${status}`);
    this.#loop.reached.add(`ticket ${status}`);
  }

  /** A result that came with a ticket alone. */
  ticketAnswered(taskId: string, outcome: TaskOutcome, status: string): void {
    this.#loop.note(`the result of ${taskId}, by ticket, is ${status}`);
    this.#loop.reached.add(`ticket result ${status}`);
    const task = parseTaskId(taskId)!;
    const life = this.witness.lives.get(task.executionId);
    if (status !== "accepted" || !outcome.ok || life === undefined) return;
    if (life.execution.state.run > task.run || outputOf(life, task) === outcome.output) return;
    this.#violate(`the result of ${taskId}, by ticket, is accepted, and not its output`);
  }

  /** `newest`: the version that was known to be saved when the server was asked. */
  started(start: StartSent, answer: StartAnswer, newest: number): void {
    this.#loop.note(`${start.name} is answered ${answer.id} ${answer.created}`);
    if (!this.witness.lives.has(answer.id)) {
      this.#violate(`${start.name} is answered ${answer.id}, which does not exist`);
    }
    if (answer.created && this.#createdTold.has(answer.id)) {
      this.#violate(`two starts were told that they created ${answer.id}`);
    }
    if (answer.created) this.#createdTold.add(answer.id);
    const version = this.witness.lives.get(answer.id)?.plan.version ?? 0;
    if (answer.created && version < newest) {
      this.#violate(`${answer.id} runs version ${version}, and ${newest} was saved before`);
    }
    start.ids.add(answer.id);
    if (start.ids.size > 1) this.#violate(`${start.name} has started ${[...start.ids].join(", ")}`);
  }

  signalAccepted(signal: SignalSent): void {
    signal.isAccepted = true;
    const life = this.witness.lives.get(signal.executionId);
    if (life !== undefined && hasCause(life.execution, `signal:${signal.signalId}`)) return;
    this.#violate(`the signal ${signal.signalId} is accepted, and was not applied`);
  }

  saved(workflow: string, version: number): void {
    this.#versions.set(workflow, Math.max(version, this.newestOf(workflow)));
  }

  newestOf(workflow: string): number {
    return this.#versions.get(workflow) ?? 0;
  }

  operated(id: string, operation: string, operationId: string): void {
    const execution = this.witness.lives.get(id)?.execution;
    const state = execution?.state;
    if (execution === undefined || !hasCause(execution, `operation:${operationId}`)) {
      this.#violate(`the operation ${operationId} is accepted, and was not applied`);
    }
    if (operation === "cancel" && state?.status !== "CANCELLED" && state?.run === 1) {
      this.#violate(`${id} was cancelled, and is ${state?.status}`);
    }
    this.#loop.reached.add(`operation ${operation}`);
  }

  forked(id: string): void {
    if (!this.witness.lives.has(id)) this.#violate(`the fork ${id} is not there`);
    this.#loop.reached.add("operation fork");
  }

  planOf(id: string): Plan | undefined {
    return this.witness.lives.get(id)?.plan;
  }

  deleted(id: string): void {
    if (this.witness.lives.get(id)?.isRemoved !== true) {
      this.#violate(`${id} was deleted, and is there`);
    }
  }

  /** What a client reads is, or was, so. */
  statusRead(id: string, status: ExecutionStatus): void {
    const life = this.witness.lives.get(id);
    if (life === undefined) this.#violate(`${id} is read, and was never created`);
    else if (!isOpen(status) && life.status !== status && life.execution.state.run === 1) {
      this.#violate(`${id} is read as ${status}, and is ${life.status}`);
    }
  }

  /** An execution that was acknowledged is not there. */
  missing(id: string): void {
    if (this.witness.lives.get(id)?.isRemoved !== true) this.#violate(`${id} is lost`);
  }

  // At the end

  /** Executions that have not ended. */
  get open(): readonly Life[] {
    return [...this.witness.lives.values()].filter(
      (life) => !life.isRemoved && isOpen(life.status),
    );
  }

  async checkEnd(tidy: ReadonlySet<string>, evaluate: Evaluate): Promise<void> {
    for (const life of this.witness.lives.values()) {
      if (life.isRemoved) continue;
      this.#loop.reached.add(`execution ${life.status}`);
      await this.#checkRest(life);
      this.#checkSignals(life);
      if (tidy.has(life.plan.workflow)) this.#checkIdeal(life, evaluate);
    }
    for (const name of this.witness.followUps.keys()) this.witness.checkFollowUp(name);
    this.witness.families.check();
    this.#checkStarts();
    await this.witness.checkCounts();
  }

  /** What has ended owns nothing but the timer that removes it one day. */
  async #checkRest({ key, status }: Life): Promise<void> {
    const { tasks, timers, messages } = await this.witness.holdings(key.id);
    const left = [
      ...tasks.map((task) => task.id),
      ...timers.map((timer) => timer.id).filter((id) => id !== "retention"),
      ...messages,
    ];
    if (left.length > 0) this.#violate(`${key.id} is ${status} and owns ${left.join(", ")}`);
  }

  /** An accepted signal is with one wait, or kept: once. A later run may have dropped it with its wait. */
  #checkSignals(life: Life): void {
    const isFirstRun = life.execution.state.run === 1;
    for (const { executionId, signalId, payload, isAccepted } of this.signals) {
      if (executionId !== life.key.id) continue;
      let count = 0;
      for (const action of life.plan.actions) {
        if (action.kind !== "wait") continue;
        const output = life.execution.data.get(fields.output(action.key));
        if (output?.includes(payload)) count += 1;
      }
      for (const { sequence } of life.execution.state.signals) {
        if (life.execution.data.get(fields.signal(sequence)) === payload) count += 1;
      }
      if (count > 1) this.#violate(`the signal ${signalId} was applied ${count} times`);
      if (count === 0 && isAccepted && isFirstRun) this.#violate(`the signal ${signalId} is lost`);
    }
  }

  #checkStarts(): void {
    const byName = new Map<string, number>();
    for (const { execution } of this.witness.lives.values()) {
      // A fork has the correlation id of what it is a fork of.
      if (execution.state.id.startsWith("fork-")) continue;
      const { correlationId: name = "", depth, parent } = execution.state;
      if (depth === 0 && parent === undefined) byName.set(name, (byName.get(name) ?? 0) + 1);
    }
    for (const { name, ids, wasRefused, idempotencyKey } of this.starts) {
      const count = byName.get(name) ?? 0;
      if (wasRefused && count > 0) this.#violate(`${name} changed nothing, it was said, and did`);
      if (count > 1) this.#violate(`${name} (key ${idempotencyKey}) started ${count} executions`);
      if (ids.size > 0 && count === 0) this.#violate(`${name} was acknowledged, and is lost`);
    }
  }

  /** An act may come while the fork is under way: it is part of it, or not. */
  #isByHand(id: string | undefined): boolean {
    return id !== undefined && (this.byHand.has(id) || this.#isByHand(this.forkOf.get(id)));
  }

  /** Where no fault has touched it, it ended as it ends without any. */
  #checkIdeal(life: Life, evaluate: Evaluate): void {
    if (this.#isByHand(life.key.id)) return;
    const difference = idealEnd(life.plan, life.execution, evaluate);
    if (difference === "untold") {
      if (life.execution.state.failure?.code === "STRUCT_TOO_DEEP") this.#loop.reached.add("left");
      if (this.calm.has(life.key.id)) this.#violate(`${life.key.id}: faults decided its end`);
      return;
    }
    this.#loop.reached.add("ideal end");
    if (difference !== undefined) this.#violate(`${life.key.id}: ${difference}`);
  }
}

/** It has ended, and further commits drop what is left of it. */
function isClosing(life: Life | undefined): boolean {
  return (life?.execution.state.closing.length ?? 0) > 0;
}

/** Of the action that the task was for, or of its item. */
function outputOf({ execution: { data } }: Life, { actionKey, item }: TaskId): string | undefined {
  if (item === undefined) return data.get(fields.output(actionKey));
  const records = elementsOf(data.get(fields.itemRecords(actionKey, recordChunkOf(item))) ?? "[]");
  const inline = outcomeIn(records?.[item % chunkItems] ?? "");
  return inline ?? data.get(fields.itemOutcome(actionKey, item));
}
