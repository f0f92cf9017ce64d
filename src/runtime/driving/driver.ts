/**
 * Drives executions: a mailbox for each one that has something to do. All events that wait for an
 * execution are decided together; load, decide, commit, and again on a conflict, a bounded number
 * of times.
 */
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { causeFields } from "../../engine/causes.ts";
import { decodeExecution } from "../../engine/stored/codec.ts";
import { taskOf } from "../../language/kinds/task.ts";
import { taskUserRules } from "../../language/user-rules.ts";
import type { ExecutionEvent } from "../../model/event.ts";
import { type ExecutionKey, executionKey, fields } from "../../model/ids.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { StoreFault } from "../../store/store.ts";
import { asError, type Logger } from "../../telemetry/log.ts";
import type { ActionRegistry } from "../catalogue/action-registry.ts";
import type { Plans } from "../catalogue/plans.ts";
import { type CachedExecution, ExecutionCache } from "./cache.ts";
import { Committer, type CommitterOptions } from "./committer.ts";
import { Creator } from "./creator.ts";
import { Decider } from "./decider.ts";
import { loadExecution } from "./load.ts";
import {
  abandonScripts,
  answer,
  answerMail,
  type Created,
  eventBytes,
  type Letter,
  type Mail,
  type Mailbox,
  type NewBeginning,
  partStale,
  rejectMail,
  type SubmitAnswer,
  takeBatch,
} from "./mailbox.ts";
import type { ScriptTurns } from "./script-turns.ts";
import { ScriptRunner } from "./scripts.ts";
import { withoutWrongTokens } from "./wrong-tokens.ts";

interface DriverOptions extends Omit<CommitterOptions, "cache"> {
  readonly log: Logger;
  readonly plans: Plans;
  readonly registry: ActionRegistry;
  readonly sandbox: Sandbox;
  readonly turns: ScriptTurns;
}

/** How often, and after which pauses, an outcome that could not be committed is sent again. */
const scriptTellsMax = 10;
const scriptTellMs = 1_000;

export class Driver {
  readonly #options: DriverOptions;
  readonly #decider: Decider;
  readonly #committer: Committer;
  readonly #creator: Creator;
  readonly #boxes = new Map<string, Mailbox>();
  readonly #cache = new ExecutionCache({
    countMax: limits.cachedExecutionsMax,
    bytesMax: limits.cachedExecutionBytesMax,
  });
  #idle: (() => void)[] = [];
  #closed = false;

  constructor(options: DriverOptions) {
    this.#options = options;
    const shared = {
      ...options,
      cache: this.#cache,
      scriptsOf: (box: Mailbox) => this.#scriptsOf(box),
    };
    this.#decider = new Decider(shared);
    this.#committer = new Committer(shared);
    this.#creator = new Creator({ ...shared, decider: this.#decider, committer: this.#committer });
  }

  get mailboxes(): number {
    return this.#boxes.size;
  }

  /** Resolves after the event's effects are committed. */
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

  /** Creates an execution. Mail for an id that is being created waits until it is there. */
  create(beginning: NewBeginning, requestHash: string): Promise<Created> {
    const box = this.#open(beginning.id);
    return new Promise((resolve, reject) => {
      box.creations.push({ beginning, requestHash, resolve, reject });
      this.#start(box);
    });
  }

  #open(id: string): Mailbox {
    let box = this.#boxes.get(id);
    if (box === undefined) {
      const key = executionKey(id, this.#options.store.partitions);
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
    const { sandbox, clock } = this.#options;
    box.scripts ??= new ScriptRunner({
      sandbox,
      clock,
      onOutcome: (event) => this.#tell(box.key.id, event),
      onLost: () => this.#start(box),
    });
    return box.scripts;
  }

  /**
   * The outcome of a script; sent again after a fault, as else its guard repeats the script, late.
   */
  #tell(id: string, event: ExecutionEvent, tries = 0): void {
    if (this.#closed) return;
    this.submit(id, event).catch(() => {
      if (tries === scriptTellsMax) return;
      this.#options.clock.after(scriptTellMs, () => this.#tell(id, event, tries + 1));
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
        if (creation !== undefined) creation.resolve(await this.#creator.create(box, creation));
        else await this.#process(box, takeBatch(box));
      } catch (error) {
        box.more = false;
        this.#cache.drop(box.key.id);
        const taken = abandonScripts(box, box.taken);
        if (!(error instanceof OrchyError) && !(error instanceof StoreFault)) {
          this.#options.log.error("an execution could not be driven", {
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

  /** From now on the outcomes of scripts are ignored: the next driver evaluates them again. */
  close(): void {
    this.#closed = true;
  }

  /** One batch: load, decide, commit. */
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
      const committed = await this.#committer.commit(box, loaded.head, decided);
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
        const refused = { head: loaded.head, settled: decided.decision.settle };
        const judged = await withoutWrongTokens(this.#options.store, box.key, doubtful, refused);
        for (const mail of judged) await this.#process(box, [mail]);
        wanted = rest;
        if (stale.length + doubtful.length > 0) tries -= 1;
      }
      if (wanted.length === 0 && !box.more) return;
    }
    throw new OrchyError("UNAVAILABLE", "Other servers keep changing this execution; try again.");
  }

  /** What is small comes at once; outputs follow when they are needed. */
  #load(key: ExecutionKey, mail: readonly Mail[]): Promise<CachedExecution | "not-found" | "gone"> {
    const causes = causeFields(mail.map(({ event }) => event));
    return loadExecution(this.#options.store, key, [fields.input, ...causes]);
  }

  /** The longest silence that an action allows its workers; 0: it requires no heartbeats. */
  async heartbeatMs(key: ExecutionKey, actionKey: string): Promise<number> {
    let execution = this.#cache.get(key.id)?.execution;
    if (execution === undefined) {
      const answer = await this.#options.store.load({ key, fields: [] });
      if (answer.outcome !== "loaded") return 0;
      execution = decodeExecution(answer.state, answer.data);
    }
    const plan = await this.#decider.planOf(execution);
    const action = plan.actions[plan.byKey.get(actionKey) ?? -1];
    const task = action && taskOf(action);
    return task === undefined
      ? 0
      : taskUserRules(task, this.#options.registry.registered).heartbeatMs;
  }
}
