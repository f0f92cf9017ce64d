/** What is due: hints are followed to timers, ends of leases and of waits, and ended tombstones. */
import type { ExecutionKey } from "../../model/ids.ts";
import { RecentClaims } from "../kit/claims.ts";
import { dueTask, earliest, withNextDue } from "../kit/due.ts";
import { isForgotten } from "../kit/task-life.ts";
import type { ClaimDueAnswer, ClaimDueRequest, DueItem } from "../store.ts";
import type { Edit } from "./edit.ts";
import { lifeOf } from "./effects.ts";
import { Followers, followedOf } from "./followers.ts";
import { byExecution, dueShelf, keyOf, type PostedHint, rowsOf } from "./hints.ts";
import type { ExecutionRecord, Group, Hiding, TaskRecord } from "./model.ts";
import { taskDue } from "./moments.ts";
import type { Records } from "./records.ts";
import type { Removals } from "./removals.ts";

interface Given {
  readonly key: ExecutionKey;
  /** Of the row in which the task stands; absent: it stands in the head. */
  readonly rowId?: string;
}

interface Found {
  readonly at: number;
  readonly item: DueItem;
  readonly given: Given;
}

/** What came of the hints of one execution. */
interface Followed {
  readonly found: readonly Found[];
  /** Of what was left. */
  readonly nextDue: number | undefined;
}

export class Due {
  readonly #records: Records;
  readonly #removals: Removals;
  readonly #followers: Followers;
  readonly #claims = new RecentClaims<Given>();

  constructor(records: Records, removals: Removals) {
    this.#records = records;
    this.#removals = removals;
    this.#followers = new Followers(records);
  }

  async claim(request: ClaimDueRequest): Promise<ClaimDueAnswer> {
    const { partition, claimId } = request;
    const shelf = dueShelf(partition);
    const looked = await this.#followers.look(shelf, request);
    const again = await this.#again(request);
    if (again.items.length > 0) {
      const others = looked.hints.find((hint) => !again.records.has(nameOf(hint.id, hint.taskId)));
      return withNextDue({ items: again.items }, earliest([others?.place.at, again.nextDue]));
    }
    const { followed, later } = await this.#followers.followDue(shelf, looked, request, {
      follow: (due) => this.#follow(due, request),
      isBarren: ({ found, nextDue }) => found.length === 0 && nextDue === undefined,
    });
    const found = followed.flatMap((one) => one.found).sort((a, b) => a.at - b.at);
    this.#claims.remember(
      partition,
      claimId,
      found.map(({ given }) => given),
    );
    const next = earliest([later, ...followed.map(({ nextDue }) => nextDue)]);
    return withNextDue({ items: found.map(({ item }) => item) }, next);
  }

  async #follow(
    hints: readonly PostedHint[],
    request: ClaimDueRequest,
  ): Promise<readonly Followed[]> {
    const { partition, now } = request;
    const together = byExecution(hints);
    const groups = await this.#read(together, partition);
    const wanted = firstDue(groups, request);
    const following = together.map((some, i) => {
      const key = keyOf(partition, some[0] as PostedHint);
      const group = groups[i] as Group;
      return this.#followOne({ key, hints: some, group, room: wanted[i] ?? 0 }, request);
    });
    return await followedOf(following, (nextDue) => ({ found: [], nextDue }), now);
  }

  async #read(
    together: readonly (readonly PostedHint[])[],
    partition: number,
  ): Promise<readonly Group[]> {
    const heads = await this.#followers.heads(partition, together);
    return await Promise.all(
      together.map((some) => {
        const key = keyOf(partition, some[0] as PostedHint);
        return heads.get(some) ?? this.#records.read(key, { rows: rowsOf(some) });
      }),
    );
  }

  async #followOne(
    of: {
      readonly key: ExecutionKey;
      readonly hints: readonly PostedHint[];
      readonly group: Group;
      readonly room: number;
    },
    request: ClaimDueRequest,
  ): Promise<Followed> {
    const { key, hints, group, room } = of;
    const { now, claimId, hideMs } = request;
    const rows = rowsOf(hints);
    const grave = group.execution?.grave;
    if (grave !== undefined && (!grave.isEmpty || grave.until <= now)) {
      const isGone = await this.#removals.purge(key, now);
      const shelf = dueShelf(key.partition);
      if (!isGone) return { found: [], nextDue: now };
      await this.#records.strike(hints.map(({ place }) => ({ shelf, place })));
      return { found: [], nextDue: undefined };
    }
    const options = { key, now, rows, group, isFresh: true, isFollowed: true } as const;
    const hiding = { claimId, until: now + hideMs };
    const { result, outdated } = await this.#records.update(options, (edit) => {
      // Those that the record names are renewed with it.
      const unnamed = hints.filter(({ place, taskId }) => edit.dueOf(taskId)?.id !== place.id);
      const versions = unnamed.map((hint) => ({ hint, version: edit.versionOf(hint.taskId) }));
      const claimed = claimItems(edit, { rows, room, hiding });
      edit.renew(rows);
      return { result: claimed, outdated: versions };
    });
    const shelf = dueShelf(key.partition);
    await Promise.all(
      outdated.map(({ hint, version }) =>
        this.#followers.leadsToNothing({ shelf, hint }, { version, now }),
      ),
    );
    return result;
  }

  /** What is still under the claim, and when the rest of the same executions is due. */
  async #again({ partition, claimId }: ClaimDueRequest) {
    const given = this.#claims.recall(partition, claimId);
    const claimed = Map.groupBy(given, ({ key }) => key.id);
    const found = await Promise.all(
      [...claimed.values()].map(async (some) => {
        const { key } = some[0] as Given;
        const rows = [...new Set(some.flatMap(({ rowId }) => rowId ?? []))];
        const { execution, rows: read } = await this.#records.read(key, { rows, sure: true });
        if (execution === undefined || execution.grave !== undefined) return [];
        return itemsOf(
          key,
          execution,
          [...read.values()].map(({ task }) => task),
        );
      }),
    );
    const isUnder = ({ hiding }: Item) => hiding?.claimId === claimId;
    const items = found
      .flat()
      .filter(isUnder)
      .sort((a, b) => a.order - b.order);
    const others = found.flat().filter((item) => !isUnder(item));
    return {
      items: items.map(({ item }) => item),
      records: new Set(given.map(({ key, rowId }) => nameOf(key.id, rowId))),
      nextDue: earliest(others.map(({ at }) => at)),
    };
  }
}

/** Of a head, or of a row. */
function nameOf(id: string, rowId = ""): string {
  return `${id}/${rowId}`;
}

interface Item extends Found {
  readonly hiding: Hiding | undefined;
  /** When it was due first. */
  readonly order: number;
}

/** All that can come due in a head and in rows, earliest first. */
function itemsOf(
  key: ExecutionKey,
  execution: ExecutionRecord,
  rows: readonly TaskRecord[],
): readonly Item[] {
  const timers = execution.timers.map(({ id, at, hiding }): Item => {
    const item = { kind: "timer", key, id, at } as const;
    return { at: hiding?.until ?? at, item, given: { key }, hiding, order: at };
  });
  const { lone, hold } = execution;
  const tasks = [...(lone === undefined ? [] : [lone]), ...rows].flatMap((task): Item[] => {
    const at = taskDue(task, hold);
    if (at === null || task.life.state === "dropped") return [];
    const row = lifeOf(task, execution);
    const given = task === lone ? { key } : { key, rowId: task.id };
    const item = dueTask(key, task.id, row);
    return [{ at, item, given, hiding: task.hiding, order: row.until as number }];
  });
  return [...timers, ...tasks].sort((a, b) => a.at - b.at);
}

/** How many items of each group are among the first that the claim is given. */
function firstDue(groups: readonly Group[], { limit, now, partition }: ClaimDueRequest): number[] {
  const due = groups.flatMap(({ execution, rows }, group) => {
    if (execution === undefined || execution.grave !== undefined) return [];
    const tasks = [...rows.values()].map(({ task }) => task);
    const items = itemsOf({ partition, id: execution.listing.id }, execution, tasks);
    return items.filter(({ at }) => at <= now).map(({ at }) => ({ at, group }));
  });
  const first = due.sort((a, b) => a.at - b.at).slice(0, limit);
  return groups.map((_, i) => first.filter(({ group }) => group === i).length);
}

function claimItems(
  edit: Edit,
  {
    rows,
    room,
    hiding,
  }: { readonly rows: readonly string[]; readonly room: number; readonly hiding: Hiding },
): Followed {
  const { execution, key, now } = edit;
  if (execution === undefined || execution.grave !== undefined) {
    return { found: [], nextDue: undefined };
  }
  const tasks = rows.flatMap((id) => edit.task(id) ?? []).filter((task) => task !== execution.lone);
  for (const task of tasks) if (isForgotten(task.life, now)) edit.deleteTask(task);
  const items = itemsOf(key, execution, tasks);
  const given = items.filter(({ at }) => at <= now).slice(0, room);
  const timers = new Set(given.flatMap(({ item }) => (item.kind === "timer" ? item.id : [])));
  if (timers.size > 0) {
    const hide = (timer: ExecutionRecord["timers"][number]) =>
      timers.has(timer.id) ? { ...timer, hiding } : timer;
    edit.change({ timers: execution.timers.map(hide) });
  }
  for (const { item } of given) {
    const task = item.kind === "timer" ? undefined : edit.task(item.taskId);
    if (task !== undefined) edit.setTask({ ...task, hiding });
  }
  return { found: given, nextDue: items[given.length]?.at };
}
