/** Claims from queues: hints are followed to tasks on offer, highest priority and oldest first. */
import { defined } from "../../base/defined.ts";
import { type ExecutionKey, formatToken } from "../../model/ids.ts";
import { RecentClaims } from "../kit/claims.ts";
import { inTurns } from "../kit/in-turns.ts";
import * as life from "../kit/task-life.ts";
import {
  type ClaimTasksAnswer,
  type ClaimTasksRequest,
  faultOutcome,
  type LeasedTask,
} from "../store.ts";
import type { Place, Shelf } from "./driver.ts";
import type { Edit } from "./edit.ts";
import { isLeasedUnder, lifeOf } from "./effects.ts";
import { Followers } from "./followers.ts";
import {
  byExecution,
  keyOf,
  type PostedHint,
  type QueueShelf,
  queueShelf,
  readHint,
  rowsOf,
} from "./hints.ts";
import { isHeld } from "./holds.ts";
import { type Group, type TaskRecord, taskIn } from "./model.ts";
import type { QueueIndex } from "./queue-index.ts";
import type { Records } from "./records.ts";
import { type ClaimedTask, lease, type Tasks } from "./tasks.ts";

/** Pages of a shelf that one claim looks at. */
const pagesMax = 20;
/** Hints on a page after one that led to no task. */
const barrenMax = 50;
/** A hint of a held task is looked at again after this time; a resume posts another one. */
const heldLookMs = 60_000;

interface Asked {
  readonly shelf: Shelf;
  readonly of: QueueShelf;
  readonly room: number;
}

interface Given {
  readonly key: ExecutionKey;
  readonly taskId: string;
}

export class Queues {
  readonly #records: Records;
  readonly #tasks: Tasks;
  readonly #index: QueueIndex;
  readonly #followers: Followers;
  readonly #claims = new RecentClaims<Given>();

  constructor(records: Records, tasks: Tasks, index: QueueIndex) {
    this.#records = records;
    this.#tasks = tasks;
    this.#index = index;
    this.#followers = new Followers(records);
  }

  async claim(request: ClaimTasksRequest): Promise<ClaimTasksAnswer> {
    const { partition, tokenPrefix, now } = request;
    const limits = new Map<string, number>();
    for (const { name, limit } of request.queues)
      limits.set(name, Math.max(limit, limits.get(name) ?? 0));
    const names = [...limits.keys()];
    const priorities = await this.#index.of(partition, names, now);
    const given = this.#claims.recall(partition, tokenPrefix);
    const isRepeated = given.length > 0;
    const tasks = isRepeated ? [...(await this.#claimAgain(given, request))] : [];
    const more: string[] = [];
    for (const name of names) {
      const of = (priorities.get(name) ?? []).map((priority) => ({ queue: name, priority }));
      let left = isRepeated
        ? 0
        : Math.min(limits.get(name) as number, request.limit - tasks.length);
      for (const one of of) {
        const asked = { shelf: queueShelf(partition, one), of: one, room: left };
        const answer = await this.#claimFrom(asked, request);
        tasks.push(...answer.tasks);
        left -= answer.tasks.length;
        if (!answer.isMore) continue;
        more.push(name);
        break;
      }
    }
    return { tasks, more };
  }

  /** From one shelf; one that is full leaves the shelves of lower priority alone. */
  async #claimFrom(
    { shelf, of, room }: Asked,
    request: ClaimTasksRequest,
  ): Promise<{ readonly tasks: readonly LeasedTask[]; readonly isMore: boolean }> {
    const tasks: LeasedTask[] = [];
    let after: Place | undefined;
    let isBarren = false;
    for (let pages = 0; pages < pagesMax; pages++) {
      const wanted = room - tasks.length;
      const looked = isBarren ? barrenMax : wanted;
      const page = await this.#records.driver.shelves.scan({
        shelf,
        bound: request.now,
        limit: looked + 1,
        ...defined({ after }),
      });
      const hints = page.entries.slice(0, looked).map(readHint);
      const living = isBarren ? await this.#living(shelf, hints, request.now) : hints;
      const followed = living.slice(0, wanted);
      const given = await this.#follow({ shelf, of, room }, followed, request);
      // Two hints may lead to one task.
      tasks.push(...given.filter(({ token }) => !tasks.some((one) => one.token === token)));
      const isLeft = followed.length < living.length;
      if (!isLeft && page.entries.length <= looked && !page.more) return { tasks, isMore: false };
      if (tasks.length >= room) return { tasks, isMore: true };
      after = (isLeft ? followed : hints).at(-1)?.place;
      isBarren = given.length === 0;
    }
    return { tasks, isMore: true };
  }

  /** Without those whose creation has not come, or not yet: a crash may have left many. */
  async #living(
    shelf: Shelf,
    hints: readonly PostedHint[],
    now: number,
  ): Promise<readonly PostedHint[]> {
    const keys = hints.map((hint) => keyOf(shelf.partition, hint));
    const groups = keys.length === 0 ? [] : await this.#records.readHeads(keys);
    const isLiving = (_: PostedHint, i: number) => groups[i]?.execution !== undefined;
    const dead = hints.filter((hint, i) => !isLiving(hint, i));
    await inTurns(barrenMax, dead, (hint) =>
      this.#followers.leadsToNothing({ shelf, hint }, { version: undefined, now }),
    );
    return hints.filter(isLiving);
  }

  async #follow(
    asked: Asked,
    hints: readonly PostedHint[],
    request: ClaimTasksRequest,
  ): Promise<readonly LeasedTask[]> {
    const { partition, tokenPrefix } = request;
    const groups = byExecution(hints);
    const heads = await this.#followers.heads(partition, groups);
    const claims = groups.map((some) =>
      this.#claimOf(asked, some, { request, group: heads.get(some) }),
    );
    const settled = await Promise.allSettled(claims);
    const claimed = settled.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
    const failed = settled.find((one) => one.status === "rejected");
    const known = this.#claims.recall(partition, tokenPrefix);
    const given = claimed.map(({ key, task }) => ({ key, taskId: task.id }));
    if (failed !== undefined && claimed.length === 0 && known.length === 0) {
      if (faultOutcome(failed.reason) === "unknown") {
        this.#claims.remember(partition, tokenPrefix, this.#perhapsGiven(hints, partition));
      }
      throw failed.reason;
    }
    this.#claims.remember(partition, tokenPrefix, [...known, ...given]);
    const order = new Map(hints.map((hint, i) => [hint.taskId ?? hint.id, i]));
    const placeOf = ({ key, task }: ClaimedTask) => order.get(task.id) ?? order.get(key.id) ?? 0;
    claimed.sort((a, b) => placeOf(a) - placeOf(b));
    return await this.#tasks.leased(claimed, request);
  }

  /** For a claim whose outcome is unknown: its repeat looks for these. */
  #perhapsGiven(hints: readonly PostedHint[], partition: number): readonly Given[] {
    return hints.map((hint) => ({ key: keyOf(partition, hint), taskId: hint.taskId ?? "" }));
  }

  /** All hinted tasks of one execution at once. */
  async #claimOf(
    { shelf, of }: Asked,
    hints: readonly PostedHint[],
    { request, group }: { readonly request: ClaimTasksRequest; readonly group: Group | undefined },
  ): Promise<ClaimedTask[]> {
    const { now } = request;
    const key = keyOf(shelf.partition, hints[0] as PostedHint);
    const rows = rowsOf(hints);
    const options = { key, now, rows, headKind: "open", isFresh: true } as const;
    const taken = await this.#records.update({ ...options, ...defined({ group }) }, (edit) =>
      hints.map((hint) => ({ hint, ...take(edit, { hint, of, shelf }, request) })),
    );
    await Promise.all(
      taken.map(async ({ hint, task, isHeld: held, version }) => {
        if (task !== undefined) return;
        if (held) await this.#followers.move(shelf, hint, now + heldLookMs);
        else await this.#followers.leadsToNothing({ shelf, hint }, { version, now });
      }),
    );
    const tasks = new Map(
      taken.flatMap(({ task }) => (task === undefined ? [] : [[task.id, task]])),
    );
    return [...tasks.values()].map((task) => ({ key, task }));
  }

  async #claimAgain(
    given: readonly Given[],
    request: ClaimTasksRequest,
  ): Promise<readonly LeasedTask[]> {
    const found = await Promise.all(
      given.map(async ({ key, taskId }) => {
        const rows = taskId === "" ? [] : [taskId];
        const group = await this.#records.read(key, { rows, sure: true });
        const { execution } = group;
        const task = rows.length === 0 ? execution?.lone : taskIn(group, taskId);
        if (task === undefined || execution === undefined) return [];
        return isLeasedUnder(task, execution, request.tokenPrefix) ? { key, task } : [];
      }),
    );
    return await this.#tasks.leased(found.flat(), request);
  }
}

interface Taken {
  readonly task?: TaskRecord;
  readonly isHeld?: boolean;
  /** Of the record that the hint is for. */
  readonly version?: number | undefined;
}

function take(
  edit: Edit,
  {
    hint,
    of,
    shelf,
  }: { readonly hint: PostedHint; readonly of: QueueShelf; readonly shelf: Shelf },
  request: ClaimTasksRequest,
): Taken {
  const { execution } = edit;
  const version = edit.versionOf(hint.taskId);
  if (execution === undefined || execution.grave !== undefined) return { version };
  const task = hint.taskId === undefined ? execution.lone : edit.task(hint.taskId);
  const isHere = task?.queue === of.queue && task.priority === of.priority;
  if (task === undefined || !isHere) return { version };
  const strike = () => {
    // The place that the task names is struck with it.
    if (task.place?.id !== hint.place.id) edit.strikes.push({ shelf, place: hint.place });
  };
  const now = lifeOf(task, execution);
  if (life.isLeasedUnder(now, formatToken(request.tokenPrefix, task.id))) {
    strike();
    return { task };
  }
  if (now.state !== "queued") return { version };
  if (isHeld(execution.hold)) return { isHeld: true };
  strike();
  return { task: lease(edit, task, life.claimTask(now, task, request)) };
}
