/**
 * Drives executions: a mailbox for each one that has something to do. All events that wait for an
 * execution are decided together; load, decide, commit, and again on a conflict, a bounded number of
 * times. What a commit brings about (tasks, timers, an end) is told to the other parts of the
 * runtime after it holds, never before.
 */
import type { Clock, Ids } from "../../base/clock.ts";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { causeFields } from "../../engine/causes.ts";
import { begin } from "../../engine/decide.ts";
import { advance, decodeExecution, encodeState } from "../../engine/stored/codec.ts";
import { isTaskAction } from "../../language/kinds/task.ts";
import type { Plan } from "../../language/plan.ts";
import { taskUserRules } from "../../language/user-rules.ts";
import type { Decision } from "../../model/decision.ts";
import type { ExecutionEvent } from "../../model/event.ts";
import { type Execution, isOpen } from "../../model/execution.ts";
import { type ExecutionKey, executionKey, fields } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import {
  type CommitAnswer,
  type CommitRequest,
  type CreateAnswer,
  faultOutcome,
  type Head,
  type Store,
  StoreFault,
} from "../../store/store.ts";
import type { Holds } from "../../telemetry/holds.ts";
import { asError, type Logger } from "../../telemetry/log.ts";
import type { ActionRegistry } from "../catalogue/action-registry.ts";
import type { Plans } from "../catalogue/plans.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { Formats } from "../peers/formats.ts";
import { listingOf } from "../shared/listing-of.ts";
import { type CachedExecution, ExecutionCache } from "./cache.ts";
import { type Decided, Decider } from "./decider.ts";
import { loadExecution } from "./load.ts";
import {
  abandonScripts,
  answer,
  answerMail,
  type Created,
  type Creation,
  eventBytes,
  type Letter,
  type Mail,
  type Mailbox,
  type NewBeginning,
  noteDecided,
  partStale,
  rejectMail,
  type SubmitAnswer,
  takeBatch,
} from "./mailbox.ts";
import { type Offers, offerTasks } from "./offers.ts";
import type { ScriptTurns } from "./script-turns.ts";
import { ScriptRunner } from "./scripts.ts";

/** What the rest of the runtime hears about a commit, after it holds. */
export interface Committed {
  readonly key: ExecutionKey;
  readonly before: Execution | undefined;
  readonly after: Execution;
  readonly decision: Decision;
  readonly plan: Plan;
}

/** Whether this commit is the one that ended the execution. */
export function isEnding({ before, after }: Committed): boolean {
  return !isOpen(after.state.status) && (before === undefined || isOpen(before.state.status));
}

export interface DriverParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly formats: Pick<Formats, "written">;
  readonly plans: Plans;
  readonly registry: ActionRegistry;
  readonly dispatcher: Dispatcher;
  readonly sandbox: Sandbox;
  readonly turns: ScriptTurns;
  readonly onCommitted: (committed: Committed) => void;
  /** A decision that may hold or not: what it would bring about is to be looked for. */
  readonly onUnknown: (key: ExecutionKey, decision: Decision) => void;
  readonly holds: Holds;
  /** Called when a commit begins; what it answers, when it has ended. */
  readonly timeCommit: () => (outcome: string) => void;
}

/** What became of a commit. */
type Outcome =
  | { readonly outcome: "done" }
  | { readonly outcome: "conflict" }
  | {
      readonly outcome: "stale";
      readonly tasks: readonly string[];
      readonly timers: readonly string[];
    };

/** A commit that is under way. */
interface Commit {
  readonly commitId: string;
  readonly decided: Decided;
  readonly offers: Offers;
}

/** How often, and after what pause each, an outcome is told again that could not be committed. */
const scriptTellsMax = 10;
const scriptTellMs = 1_000;

export class Driver {
  readonly #parts: DriverParts;
  readonly #decider: Decider;
  readonly #boxes = new Map<string, Mailbox>();
  readonly #cache = new ExecutionCache({
    countMax: limits.cachedExecutionsMax,
    bytesMax: limits.cachedExecutionBytesMax,
  });
  #idle: (() => void)[] = [];
  #closed = false;

  constructor(parts: DriverParts) {
    this.#parts = parts;
    const { store, clock, formats, plans, registry, holds, turns } = parts;
    const scriptsOf = (box: Mailbox) => this.#scriptsOf(box);
    this.#decider = new Decider({
      ...{ store, clock, formats, plans, registry, holds, scriptsOf, turns },
    });
  }

  get mailboxes(): number {
    return this.#boxes.size;
  }

  /** Answers after the event's effects are committed. */
  submit(id: string, event: ExecutionEvent): Promise<SubmitAnswer> {
    return new Promise((resolve, reject) => this.post(id, { event, resolve, reject }));
  }

  /** The same with callbacks: a call of a worker brings many events. */
  post(id: string, letter: Letter): void {
    const box = this.#open(id);
    if (box.mail.length >= limits.mailboxEventsMax) {
      const message = `${limits.mailboxEventsMax} events are waiting for this execution already; try again.`;
      letter.reject(new OrchyError("RESOURCE_EXHAUSTED", message));
      return;
    }
    const { event, origin, resolve, reject } = letter;
    const bytes = eventBytes(event);
    const mail: Mail = {
      event,
      origin,
      resolve,
      reject,
      bytes,
      isDecided: false,
      isAnswered: false,
    };
    box.mail.push(mail);
    box.scripts?.wake();
    this.#start(box);
  }

  #open(id: string): Mailbox {
    let box = this.#boxes.get(id);
    if (box === undefined) {
      const key = executionKey(id, this.#parts.store.partitions);
      box = {
        key,
        creations: [],
        mail: [],
        taken: [],
        running: false,
        more: false,
        scripts: undefined,
      };
      this.#boxes.set(id, box);
    }
    return box;
  }

  #scriptsOf(box: Mailbox): ScriptRunner {
    const { sandbox, clock } = this.#parts;
    box.scripts ??= new ScriptRunner({
      sandbox,
      clock,
      onOutcome: (event) => this.#tell(box.key.id, event),
      onLost: () => this.#start(box),
    });
    return box.scripts;
  }

  /** What a script has answered; told again after a fault, as else its guard repeats it, late. */
  #tell(id: string, event: ExecutionEvent, tries = 0): void {
    if (this.#closed) return;
    this.submit(id, event).catch(() => {
      if (tries === scriptTellsMax) return;
      this.#parts.clock.after(scriptTellMs, () => this.#tell(id, event, tries + 1));
    });
  }

  #start(box: Mailbox): void {
    if (box.running) return;
    box.running = true;
    this.#run(box);
  }

  async #run(box: Mailbox): Promise<void> {
    while (box.creations.length > 0 || box.mail.length > 0 || box.more) {
      if (box.taken.length > 0) box.taken = [];
      const creation = box.creations.shift();
      try {
        if (creation !== undefined) creation.resolve(await this.#createIn(box, creation));
        else await this.#process(box, takeBatch(box));
      } catch (error) {
        box.more = false;
        this.#cache.drop(box.key.id);
        const taken = abandonScripts(box, box.taken);
        if (!(error instanceof OrchyError) && !(error instanceof StoreFault)) {
          this.#parts.log.error("an execution could not be driven", {
            id: box.key.id,
            error: asError(error),
          });
        }
        creation?.reject(error);
        for (const mail of taken) if (!box.mail.includes(mail)) rejectMail(mail, error);
      }
    }
    box.running = false;
    if (!box.scripts?.open) this.#boxes.delete(box.key.id);
    if (this.#boxes.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Resolves when nothing is under way. */
  async drained(): Promise<void> {
    if (this.#boxes.size === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** From now on scripts that end are not heard any more: whoever goes on asks for them again. */
  close(): void {
    this.#closed = true;
  }

  // One batch: load, decide, commit

  async #process(box: Mailbox, batch: Mail[]): Promise<void> {
    let wanted = batch;
    for (let tries = 0; tries < limits.commitConflictRetriesMax; tries++) {
      // No await where nothing is to be waited for: this is every step of the steady state.
      const cached = this.#cache.get(box.key.id);
      const loaded = cached ?? (await this.#load(box.key, wanted));
      if (loaded === "not-found" || loaded === "gone") {
        for (const mail of wanted) answerMail(mail, { type: loaded });
        box.more = false;
        return;
      }
      if (cached === undefined) box.scripts?.retain(loaded.execution);
      const planned = this.#decider.planOf(loaded.execution);
      const plan = planned instanceof Promise ? await planned : planned;
      const deciding = this.#decider.decide(box, loaded.execution, plan, wanted);
      const decided = deciding instanceof Promise ? await deciding : deciding;
      if (decided === "removed") {
        this.#cache.drop(box.key.id);
        wanted = abandonScripts(box, wanted);
        continue;
      }
      if (!decided.decision.changed) {
        if (cached !== undefined) {
          // No commit compares what is in memory here, and another server may have gone on since.
          this.#cache.drop(box.key.id);
          wanted = abandonScripts(box, decided.mail);
          if (wanted.length === 0 && !box.more) return;
          continue;
        }
        answer(box, wanted, decided.decision);
        box.more = false;
        this.#cache.put(box.key.id, { ...loaded, execution: decided.before });
        return;
      }
      const committed = await this.#commit(box, loaded.head, decided);
      if (committed.outcome === "done") {
        answer(box, decided.mail, decided.decision);
        box.more = decided.decision.more;
        return;
      }
      // Another server was faster, or a lease or timer has moved on: decide on what is true now.
      this.#cache.drop(box.key.id);
      wanted = abandonScripts(box, decided.mail);
      if (committed.outcome === "stale") {
        const { stale, doubtful, rest } = partStale(wanted, committed);
        for (const mail of stale) answerMail(mail, { type: "stale" });
        const judged = await this.#withoutWrongTokens(box.key, doubtful, {
          head: loaded.head,
          settled: decided.decision.settle,
        });
        for (const mail of judged) await this.#process(box, [mail]);
        wanted = rest;
        if (stale.length + doubtful.length > 0) tries -= 1;
      }
      if (wanted.length === 0 && !box.more) return;
    }
    throw new OrchyError("UNAVAILABLE", "Other servers keep changing this execution; try again.");
  }

  /**
   * Of several results for one task, none of which was settled before the `refused` commit, at most
   * one is from the holder of its lease: the store tells who that is. Those of others are stale; the
   * rest is returned. All of it, where the execution is no longer at the commit's head: a result may
   * have been settled in between, and its repeat is no stale one.
   */
  async #withoutWrongTokens(
    key: ExecutionKey,
    doubtful: Mail[],
    refused: { readonly head: Head; readonly settled: Decision["settle"] },
  ): Promise<Mail[]> {
    const open = new Set(refused.settled.map(({ taskId }) => taskId));
    if (doubtful.length < 2 || open.size === 0) return doubtful;
    const { store } = this.#parts;
    const { tasks } = await store.holdings(key);
    const again = await store.load({ key, fields: [] });
    if (again.outcome !== "loaded" || !isSameHead(again.head, refused.head)) return doubtful;
    const held = new Set(tasks.map(({ token }) => token));
    return doubtful.filter((mail) => {
      const { event } = mail;
      if (event.type !== "result" || !open.has(event.taskId) || held.has(event.token)) return true;
      answerMail(mail, { type: "stale" });
      return false;
    });
  }

  /** What is small comes at once; outputs follow when they are needed. */
  #load(key: ExecutionKey, mail: readonly Mail[]): Promise<CachedExecution | "not-found" | "gone"> {
    const causes = causeFields(mail.map(({ event }) => event));
    return loadExecution(this.#parts.store, key, [fields.input, ...causes]);
  }

  /** With callbacks: an async function more is felt, as this is every step. */
  #commit(box: Mailbox, expected: Head, decided: Decided): Promise<Outcome> {
    const { decision } = decided;
    const { store, clock, ids, dispatcher, formats, holds, timeCommit } = this.#parts;
    const startedAt = performance.now();
    const now = clock.now();
    const commitId = ids.nonce();
    const origin = decided.mail[0]?.origin;
    const offers = offerTasks(dispatcher, { key: box.key, decision, origin, now });
    for (const mail of decided.mail) noteDecided(mail);
    const { state, hold } = decision;
    const request: CommitRequest = {
      key: box.key,
      expected,
      commitId,
      state: encodeState(decision, formats.written()),
      status: state.status,
      ...(state.endedAt !== undefined && { endedAt: state.endedAt }),
      ...(hold !== undefined && { hold }),
      data: decision.data,
      settle: decision.settle,
      expire: decision.expire,
      consumeTimers: decision.consumeTimers,
      effects: offers.effects,
      now,
    };
    const commit: Commit = { commitId, decided, offers };
    const tell = timeCommit();
    const committing = store.commit(request);
    holds.ran("execution", box.key.id, startedAt);
    return committing.then(
      (result) => {
        tell(result.outcome);
        return this.#answered(box, commit, result);
      },
      (error) => {
        tell(faultOutcome(error));
        return this.#failed(box, commit, error);
      },
    );
  }

  #answered(box: Mailbox, { commitId, decided, offers }: Commit, result: CommitAnswer): Outcome {
    if (result.outcome === "committed" || result.outcome === "already_committed") {
      const { before, decision, plan } = decided;
      const after = advance(before, decision);
      box.scripts?.age();
      this.#keep(box.key, result.head, after);
      // A repeated commit, which others have gone on from: what is known of it here is old.
      if (result.head.commitId !== commitId) this.#cache.drop(box.key.id);
      offers.deliver();
      this.#parts.onCommitted({ key: box.key, before, after, decision, plan });
      return { outcome: "done" };
    }
    offers.withdraw();
    if (result.outcome === "stale") return result;
    return { outcome: "conflict" };
  }

  async #failed(box: Mailbox, commit: Commit, error: unknown): Promise<Outcome> {
    const { commitId, decided, offers } = commit;
    offers.withdraw();
    if (!(error instanceof StoreFault) || error.outcome !== "unknown") throw error;
    const outcome = await this.#resolveUnknown(box, commitId);
    if (outcome === "conflict") return { outcome };
    offers.giveBack();
    const { before, decision, plan } = decided;
    if (outcome === "unknown") {
      this.#parts.onUnknown(box.key, decision);
      throw error;
    }
    box.scripts?.age();
    const after = advance(before, decision);
    this.#parts.onCommitted({ key: box.key, before, after, decision, plan });
    return { outcome };
  }

  /** After an unknown outcome nothing is delivered before the store has said what holds. */
  async #resolveUnknown(box: Mailbox, commitId: string): Promise<"done" | "conflict" | "unknown"> {
    this.#cache.drop(box.key.id);
    const request = { key: box.key, fields: [] };
    const answer = await this.#parts.store.load(request).catch(() => undefined);
    if (answer?.outcome !== "loaded") return "unknown";
    return answer.recentCommitIds.includes(commitId) ? "done" : "conflict";
  }

  #keep(key: ExecutionKey, head: Head, execution: Execution): void {
    const hasEnded = !isOpen(execution.state.status);
    if (hasEnded) this.#boxes.get(key.id)?.scripts?.abandonAll();
    // What has ended, or only waits, is not asked for soon: its memory is worth more to others.
    if (hasEnded || !isBusy(execution)) {
      this.#cache.drop(key.id);
      return;
    }
    this.#cache.put(key.id, { head, execution });
  }

  // Creation

  /** Creates an execution. Mail for an id that is being created waits until it is there. */
  create(beginning: NewBeginning, requestHash: string): Promise<Created> {
    const box = this.#open(beginning.id);
    return new Promise((resolve, reject) => {
      box.creations.push({ beginning, requestHash, resolve, reject });
      this.#start(box);
    });
  }

  /** Its first scripts are folded in as for any other commit. */
  async #createIn(box: Mailbox, { beginning, requestHash }: Creation): Promise<Created> {
    const { store, clock, ids, registry, dispatcher, formats } = this.#parts;
    const { plan } = beginning;
    await registry.ensure(plan);
    const startedAt = performance.now();
    const first = begin({ ...beginning, ...this.#decider.surroundings(box, plan) });
    this.#parts.holds.ran("execution", box.key.id, startedAt);
    const nothing: Execution = { state: first.state, records: [], data: new Map() };
    const start: Decided = { before: nothing, decision: first, mail: [], plan };
    // A repeated start must not run its scripts beside those of the execution that it finds.
    const isKnown = Boolean(box.scripts?.open) || this.#cache.get(box.key.id) !== undefined;
    const decided = isKnown ? start : await this.#decider.foldScripts(box, start);
    const { decision } = decided;
    // Later than the beginning, by as long as its scripts took.
    const now = clock.now();
    const offers = offerTasks(dispatcher, { key: box.key, decision, origin: undefined, now });
    const request = {
      key: box.key,
      commitId: ids.nonce(),
      requestHash,
      listing: listingOf(decision),
      state: encodeState(decision, formats.written()),
      data: written(decision.data),
      effects: offers.effects,
      now,
    };
    let answer: CreateAnswer;
    try {
      answer = await createSurely(store, request, clock);
    } catch (error) {
      offers.withdraw();
      if (error instanceof OrchyError) {
        offers.giveBack();
        this.#parts.onUnknown(box.key, decision);
      }
      throw error;
    }
    if (answer.outcome !== "created") {
      offers.withdraw();
      // What was folded in is meant for the execution that is there.
      const mail = abandonScripts(box, decided.mail);
      box.mail.unshift(...mail);
      return answer;
    }
    if (isKnown) this.#scriptsOf(box).run(decision.scripts);
    box.scripts?.age();
    const after = advance(nothing, decision);
    this.#keep(box.key, answer.head, after);
    offers.deliver();
    this.#parts.onCommitted({ key: box.key, before: undefined, after, decision, plan });
    box.more = decision.more;
    for (const [index, mail] of decided.mail.entries()) answerMail(mail, decision.answers[index]!);
    return { ...answer, status: decision.state.status };
  }

  /** The longest silence that an action asks of its workers; 0: it asks for none. */
  async heartbeatMs(key: ExecutionKey, actionKey: string): Promise<number> {
    let execution = this.#cache.get(key.id)?.execution;
    if (execution === undefined) {
      const answer = await this.#parts.store.load({ key, fields: [] });
      if (answer.outcome !== "loaded") return 0;
      execution = decodeExecution(answer.state, answer.data);
    }
    const plan = await this.#decider.planOf(execution);
    const action = plan.actions[plan.byKey.get(actionKey) ?? -1];
    if (action === undefined || !isTaskAction(action)) return 0;
    return taskUserRules(action, this.#parts.registry.registered).heartbeatMs;
  }
}

function isSameHead(one: Head, other: Head): boolean {
  return one.revision === other.revision && one.commitId === other.commitId;
}

/** Whether an action of it is with the workers or the sandbox, so that news of it is near. */
function isBusy({ records, state }: Execution): boolean {
  if (state.ready.length > 0) return true;
  // From the end, where the latest actions of long workflows are.
  for (let index = records.length - 1; index >= 0; index--) {
    const status = records[index]?.status;
    if (status === "SCHEDULED" || status === "RUNNING") return true;
  }
  return false;
}

/** Throws an OrchyError when the store did not say what became of it. */
async function createSurely(
  store: Store,
  request: Parameters<Store["create"]>[0],
  clock: Clock,
): Promise<CreateAnswer> {
  let unknown = false;
  for (let tries = 0; ; tries++) {
    try {
      return await store.create(tries === 0 ? request : { ...request, now: clock.now() });
    } catch (error) {
      if (!(error instanceof StoreFault)) throw error;
      // That a repeat was not applied says nothing about the call before it.
      unknown ||= error.outcome === "unknown";
      if (!unknown) throw error;
      // The same commit id repeated answers as the first call did.
      if (tries >= 2) {
        const message =
          "The store did not confirm whether the execution was started; repeat the call.";
        throw new OrchyError("UNKNOWN_OUTCOME", message, [], { id: request.key.id });
      }
    }
  }
}

function written(data: ReadonlyMap<string, JsonText | null>): Map<string, JsonText> {
  const result = new Map<string, JsonText>();
  for (const [field, text] of data) if (text !== null) result.set(field, text);
  return result;
}
