/** Create and commit: decided on what is there, written against its version. */
import type { ExecutionKey } from "../../model/ids.ts";
import { createBuried, createFinds, refuseCommit, withCommitId } from "../kit/heads.ts";
import { mayExpire, maySettle } from "../kit/task-life.ts";
import {
  type CommitAnswer,
  type CommitRequest,
  type CreateAnswer,
  type CreateRequest,
  type Listing,
  StoreFault,
} from "../store.ts";
import { begin } from "./beginnings.ts";
import { type Draft, stateCharsMax } from "./edit.ts";
import { applyEffects, endTasks, hold, lifeOf } from "./effects.ts";
import { writeFields } from "./fields.ts";
import { appendHistory } from "./history.ts";
import { isHeld, neverHeld } from "./holds.ts";
import { enterLists, moveLists } from "./listings.ts";
import { type ExecutionRecord, type Group, taskIn } from "./model.ts";
import type { Records } from "./records.ts";
import type { Removals } from "./removals.ts";
import { PartMissing } from "./texts.ts";

/** Others may change the execution at the same time without moving its head. */
const triesMax = 20;

export class Executions {
  readonly #records: Records;
  readonly #removals: Removals;

  constructor(records: Records, removals: Removals) {
    this.#records = records;
    this.#removals = removals;
  }

  /** The first try does not look: in most cases there is nothing. */
  async create(request: CreateRequest): Promise<CreateAnswer> {
    const { key, now } = request;
    let group: Group = { execution: undefined, rows: new Map() };
    let lost: Draft | undefined;
    for (let tries = 0; tries < triesMax; tries++) {
      const known = group.execution;
      if (known !== undefined && (known.grave === undefined || now < known.grave.until)) {
        const answer = createAnswer(known, request);
        if (answer.outcome !== "created") await this.#undo(lost);
        return answer;
      }
      await this.#undo(lost);
      if (known?.grave?.isEmpty === false) {
        if ((await this.#removals.clear(key, now)) === "more")
          return createBuried(known.grave.kept);
        lost = undefined;
        group = await this.#records.read(key);
        continue;
      }
      const draft = await this.#creation(request, group);
      if (await this.#records.apply(draft)) {
        return { outcome: "created", head: { revision: 1, commitId: request.commitId } };
      }
      lost = draft;
      group = await this.#records.readAfterRefusal(key);
    }
    throw tooBusy(key);
  }

  async #creation(request: CreateRequest, group: Group): Promise<Draft> {
    const { key, commitId, now, data, effects, listing, state } = request;
    const records = this.#records;
    const edit = records.edit({ key, group, now, commitId, isCreation: true });
    begin(edit, records.ids.next(), {
      head: { revision: 1, commitId },
      recentCommitIds: [commitId],
      createdBy: commitId,
      requestHash: request.requestHash,
      listing,
      hold: neverHeld,
      state: edit.text(state, stateCharsMax),
      grave: undefined,
    });
    await writeFields(edit, records.texts, data);
    await appendHistory(edit, records.texts, effects.history);
    applyEffects(edit, effects);
    enterLists(edit);
    return edit.close() as Draft;
  }

  /** The first try works on what this server saw last; what it then refuses is read before. */
  async commit(request: CommitRequest): Promise<CommitAnswer> {
    const { key } = request;
    let lost: Draft | undefined;
    for (let tries = 0; tries < triesMax; tries++) {
      const seen = tries === 0 ? this.#seen(request) : undefined;
      const group = seen ?? (await this.#read(request, lost !== undefined));
      const answer = refusal(group, request);
      if (answer !== undefined) {
        if (seen !== undefined) continue;
        if (lost === undefined) return answer;
        if (answer.outcome !== "already_committed") {
          await this.#undo(lost);
          return answer;
        }
        // Something on the way repeated the change, and the repeat was refused.
        await this.#records.tidy(lost);
        return { outcome: "committed", head: answer.head };
      }
      await this.#undo(lost);
      lost = undefined;
      const changed = await this.#change(request, group as Known).catch(unlessOutdated);
      if (changed === undefined) continue;
      const { draft, head } = changed;
      if (await this.#records.apply(draft)) return { outcome: "committed", head };
      lost = draft;
    }
    throw tooBusy(key);
  }

  #seen({ key, expected, hold: held, ...request }: CommitRequest): Group | undefined {
    const group = this.#records.cached(key);
    const execution = group?.execution;
    const isLatest = execution?.head.commitId === expected.commitId;
    if (!isLatest || (held === false && execution.rows > 0)) return undefined;
    const others = namedTasks(request).filter((id) => id !== execution.lone?.id);
    return execution.isWide && others.length > 0 ? undefined : group;
  }

  async #read(request: CommitRequest, isAfterRefusal: boolean): Promise<Group> {
    const { key, hold: held } = request;
    const rows = held === false ? "all" : namedTasks(request);
    if (isAfterRefusal) return await this.#records.readAfterRefusal(key, rows);
    return await this.#records.read(key, { rows });
  }

  async #change(request: CommitRequest, group: Known) {
    const { key, commitId, now, status, endedAt, effects } = request;
    const records = this.#records;
    const edit = records.edit({ key, group, now, commitId });
    const { head: before, recentCommitIds, listing, state, timers } = group.execution;
    endTasks(edit, request);
    if (request.consumeTimers.length > 0) {
      const consumed = new Set(request.consumeTimers.map(({ id }) => id));
      edit.change({ timers: timers.filter(({ id }) => !consumed.has(id)) });
    }
    if (request.hold !== undefined) {
      hold(edit, request.hold);
    }
    await writeFields(edit, records.texts, request.data);
    await appendHistory(edit, records.texts, effects.history);
    applyEffects(edit, effects);
    const { endedAt: _, ...kept } = listing;
    const ended = endedAt === undefined ? kept : { ...kept, endedAt };
    moveLists(edit, { ...ended, status } as Listing, records.ids.next());
    if (request.state !== state) {
      edit.drop(state);
      edit.change({ state: edit.text(request.state, stateCharsMax) });
    }
    const head = { revision: before.revision + 1, commitId };
    edit.change({ head, recentCommitIds: withCommitId(recentCommitIds, commitId) });
    return { draft: edit.close() as Draft, head };
  }

  async #undo(draft: Draft | undefined): Promise<void> {
    if (draft !== undefined) await this.#records.undo(draft);
  }
}

type Known = Group & { readonly execution: ExecutionRecord };

function createAnswer(known: ExecutionRecord, request: CreateRequest): CreateAnswer {
  if (known.grave !== undefined) return createBuried(known.grave.kept);
  return createFinds({ ...known, status: known.listing.status }, request);
}

function namedTasks(request: Pick<CommitRequest, "settle" | "expire" | "effects">): string[] {
  const { settle, expire, effects } = request;
  const named = [...settle, ...expire].map(({ taskId }) => taskId);
  return [...new Set([...named, ...effects.dropTasks, ...effects.tasks.map(({ id }) => id)])];
}

/** What the commit returns before anything is written. */
function refusal(group: Group, request: CommitRequest): CommitAnswer | undefined {
  const { execution } = group;
  if (execution === undefined || execution.grave !== undefined) return { outcome: "not_found" };
  const refused = refuseCommit(execution.head, execution.recentCommitIds, request);
  if (refused !== undefined) return refused;
  const held = isHeld(execution.hold);
  const lifeIn = (id: string) => {
    const task = taskIn(group, id);
    return task && lifeOf(task, execution);
  };
  const settle = request.settle.filter(
    ({ taskId, token }) => !maySettle(lifeIn(taskId), { token, held }),
  );
  const expire = request.expire.filter((one) => !mayExpire(lifeIn(one.taskId), one));
  const timers = request.consumeTimers.filter(({ id, claimId }) => {
    return execution.timers.find((timer) => timer.id === id)?.hiding?.claimId !== claimId;
  });
  if (settle.length + expire.length + timers.length === 0) return undefined;
  const tasks = [...settle, ...expire].map(({ taskId }) => taskId);
  return { outcome: "stale", tasks, timers: timers.map(({ id }) => id) };
}

/** Others have dropped what this version of the execution refers to: it is not the latest. */
function unlessOutdated(error: unknown): undefined {
  if (!(error instanceof PartMissing)) throw error;
}

function tooBusy({ id }: ExecutionKey): StoreFault {
  return new StoreFault("not_applied", `Too many changes of the execution ${id} at once.`);
}
