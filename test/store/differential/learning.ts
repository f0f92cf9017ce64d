/** What is learnt from each answer: the outcome that was reached, and what later requests may use. */
import type * as contract from "../../../src/store/store.ts";
import type { Knowledge } from "./knowledge.ts";

type Note = (outcome: string) => void;

function learnCreate(
  { key }: contract.CreateRequest,
  answer: contract.CreateAnswer,
  known: Knowledge,
  note: Note,
): void {
  note(answer.outcome);
  if (answer.outcome === "tombstone") return;
  // A repeat is answered with the first head: it tells nothing of the present one.
  const isNew = known.tombstones.delete(key.id) || !known.heads.has(key.id);
  if (answer.outcome === "exists" || isNew) known.heads.set(key.id, answer.head);
}

function learnCommit(
  { key, settle }: contract.CommitRequest,
  answer: contract.CommitAnswer,
  known: Knowledge,
  note: Note,
): void {
  note(answer.outcome);
  if (answer.outcome === "not_found") return;
  if (answer.outcome === "stale") {
    if (answer.tasks.length > 0) note("stale tasks");
    if (answer.timers.length > 0) note("stale timers");
    return;
  }
  if (settle.some(({ token }) => token === null)) note(`${answer.outcome} offered`);
  const old = known.heads.get(key.id);
  if (old !== undefined) known.oldHeads.add(old);
  known.heads.set(key.id, answer.head);
}

function learnRemoval(
  { key, tombstoneUntil }: { key: contract.LeasedTask["key"]; tombstoneUntil: number },
  answer: string,
  known: Knowledge,
  note: Note,
): void {
  note(answer);
  if (answer !== "removed" && answer !== "more") return;
  // A repeat does not move the tombstone: the earliest of the moments is safe.
  const earlier = known.tombstones.get(key.id)?.until ?? tombstoneUntil;
  known.tombstones.set(key.id, { key, until: Math.min(earlier, tombstoneUntil) });
}

function learnTasks(tasks: readonly contract.LeasedTask[], known: Knowledge): void {
  for (const { key, id, token, leaseUntil } of tasks) {
    known.leases.add({ key, taskId: id, token, until: leaseUntil });
  }
}

function learnDue(
  { claimId }: contract.ClaimDueRequest,
  { items }: contract.ClaimDueAnswer,
  known: Knowledge,
  note: Note,
): void {
  for (const item of items) {
    note(item.kind);
    known.due.add({ claimId, item });
  }
}

/** Requests and answers are those of the named operation. */
export function learn(
  call: { readonly name: keyof contract.Store; readonly request: never; readonly answer: never },
  known: Knowledge,
  reached: Set<string>,
): void {
  const { name, request, answer } = call;
  const note: Note = (outcome) => reached.add(`${name} ${outcome}`);
  if (name === "create") learnCreate(request, answer, known, note);
  if (name === "commit") learnCommit(request, answer, known, note);
  if (name === "remove") learnRemoval(request, answer, known, note);
  if (name === "claimDue") learnDue(request, answer, known, note);
  if (name === "listTimers") note((answer as unknown[]).length > 0 ? "some" : "none");
  if (name === "load") note((answer as contract.LoadAnswer).outcome);
  if (name === "putDocument") note((answer as contract.PutAnswer).outcome);
  if (name === "releaseTasks") for (const outcome of answer as string[]) note(outcome);
  if (name === "extendLeases") {
    for (const { outcome } of answer as contract.ExtendAnswer[]) note(outcome);
  }
  if (name === "claimTasks") {
    const { tasks, more } = answer as contract.ClaimTasksAnswer;
    note(tasks.length > 0 ? "some" : "none");
    if (more.length > 0) note("more");
    learnTasks(tasks, known);
  }
  if (name === "claimTask") {
    const claimed = answer as contract.ClaimTaskAnswer;
    note(claimed.outcome);
    if (claimed.outcome === "claimed") learnTasks([claimed.task], known);
  }
  if (name === "claimOutbox") {
    const { messages } = answer as { messages: readonly contract.OutboxMessage[] };
    for (const { deliveries } of messages) note(deliveries > 1 ? "again" : "first");
    known.messages.add(...messages);
  }
}
