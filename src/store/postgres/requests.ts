/** Requests as entries of the function `change` in migrations/4-change.sql: flat, and only what is there. */
import type { ExecutionKey } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type * as contract from "../store.ts";

/** One branch of `change`. */
export interface Change {
  readonly do: "commit" | "create" | "remove" | "extend" | "release" | "ticket" | "ack";
  readonly partition: number;
  /** Its id. */
  readonly execution: string;
  /** All else that its branch reads. */
  readonly [name: string]: unknown;
}

/** A change of a single task or message. */
export function partChange<Of extends { readonly key: ExecutionKey }>(
  kind: "extend" | "release" | "ticket" | "ack",
  { key, ...rest }: Of,
): Change {
  return { do: kind, partition: key.partition, execution: key.id, ...rest };
}

/** An empty list is left out: each member is a look in the function. */
function some<Item>(items: readonly Item[]): readonly Item[] | undefined {
  return items.length > 0 ? items : undefined;
}

/** One statement writes all rows: of several with one id only the last is written. */
function lastOfEach<Item extends { readonly id: string }>(
  items: readonly Item[],
): readonly Item[] | undefined {
  if (items.length < 2) return some(items);
  const byId = new Map<string, Item>();
  for (const item of items) {
    byId.delete(item.id);
    byId.set(item.id, item);
  }
  return [...byId.values()];
}

function written({
  data,
  effects,
}: {
  readonly data: ReadonlyMap<string, JsonText | null>;
  readonly effects: contract.StoreEffects;
}) {
  const values: [name: string, value: JsonText][] = [];
  const gone: string[] = [];
  for (const [name, value] of data) {
    if (value === null) gone.push(name);
    else values.push([name, value]);
  }
  return {
    data: some(values),
    gone: some(gone),
    tasks: lastOfEach(effects.tasks),
    dropTasks: some(effects.dropTasks),
    timers: lastOfEach(effects.timers),
    dropTimers: some(effects.dropTimers),
    messages: lastOfEach(effects.messages),
    history: some(effects.history),
  };
}

export function createChange(request: contract.CreateRequest): Change {
  const { key, commitId, requestHash, listing, state, now } = request;
  return {
    do: "create",
    partition: key.partition,
    execution: key.id,
    commitId,
    requestHash,
    listing,
    state,
    now,
    ...written(request),
  };
}

/** `ends`: the tasks that it settles or expires. */
export function commitChange(request: contract.CommitRequest): Change {
  const { key, expected, commitId, state, status, endedAt, hold, settle, expire, now } = request;
  return {
    do: "commit",
    partition: key.partition,
    execution: key.id,
    expected: expected.commitId,
    revision: expected.revision,
    commitId,
    state,
    status,
    endedAt,
    hold,
    now,
    ends: some([...settle.map(({ taskId, token }) => ({ taskId, token })), ...expire]),
    consumeTimers: some(request.consumeTimers),
    ...written(request),
  };
}

export function removeChange(request: contract.RemoveRequest): Change {
  const { key, expected, tombstoneUntil, keepStart, now } = request;
  return {
    do: "remove",
    partition: key.partition,
    execution: key.id,
    expected: expected.commitId,
    revision: expected.revision,
    tombstoneUntil,
    keepStart,
    now,
  };
}
