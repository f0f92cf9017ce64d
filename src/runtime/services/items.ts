/** The items of a map as people read them, page by page: a map may have very many. */
import { defined } from "../../base/defined.ts";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import {
  chunkItems,
  isCompletedText,
  nothingDone,
  outcomeIn,
  readItemRecord,
  recordChunkOf,
} from "../../engine/stored/items.ts";
import { elementsOf } from "../../language/data/json-text.ts";
import {
  type ActionRecord,
  type ActionStatus,
  type Execution,
  type MapProgress,
  runOfIds,
} from "../../model/execution.ts";
import { executionKey, fields, formatTaskId } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Store } from "../../store/store.ts";
import type { Plans } from "../catalogue/plans.ts";
import { loadExecution } from "../driving/load.ts";
import type { ItemsRequest, ItemView, Page } from "../shared/orchestrator.ts";
import { gone, notFound } from "./executions.ts";

/** Items that are looked at for one page. */
const lookedAtMax = 5_000;
const pending: ActionRecord = { status: "PENDING" };

/** A map of an execution, and where to read it. */
interface Source {
  readonly store: Store;
  readonly execution: Execution;
  readonly actionKey: string;
  readonly progress: MapProgress;
  /** Hand-outs that are leased. */
  readonly leased: ReadonlySet<string>;
}

export async function itemsPage(
  store: Store,
  plans: Plans,
  request: ItemsRequest,
): Promise<Page<ItemView>> {
  const source = await sourceOf(store, plans, request);
  const { count } = source.progress;
  const { limit, status, cursor } = request;
  const items: ItemView[] = [];
  let chars = 0;
  const first = cursor === undefined ? 0 : Number(cursor) + 1;
  let texts: readonly JsonText[] = [];
  let textsFrom = -1;
  for (let index = first; index < count; index++) {
    const looked = index - first;
    const isFull = items.length === limit || chars > limits.pageBytesMax;
    if (isFull || looked === lookedAtMax) {
      return { items, cursor: `${index - 1}`, ...(!isFull && { incomplete: true }) };
    }
    if (recordChunkOf(index) * chunkItems !== textsFrom) {
      textsFrom = recordChunkOf(index) * chunkItems;
      texts = await textsOf(source, recordChunkOf(index));
    }
    const view = viewOf(source, index, texts[index - textsFrom]);
    if (status !== undefined && view.status !== status) continue;
    const item = await withOutcome(source, view, texts[index - textsFrom]);
    items.push(item);
    chars += (item.output?.length ?? 0) + 200;
  }
  return { items };
}

async function sourceOf(store: Store, plans: Plans, request: ItemsRequest): Promise<Source> {
  const key = executionKey(request.id, store.partitions);
  const loaded = await loadExecution(store, key, []);
  if (loaded === "not-found") throw notFound(key);
  if (loaded === "gone") throw gone(key);
  const { execution } = loaded;
  const { state, records } = execution;
  const plan = await plans.of(state);
  const action = plan.actions[plan.byKey.get(request.actionKey) ?? -1];
  if (action?.kind !== "map") {
    const what = action === undefined ? "There is no action" : "There is no map";
    throw new OrchyError("NOT_FOUND", `${what} ${request.actionKey} in the execution ${key.id}.`);
  }
  const progress = records[action.index]?.items ?? nothingDone;
  const holdings = progress.open > 0 ? await store.holdings(key) : undefined;
  const leased = (holdings?.tasks ?? []).filter((task) => task.state === "leased");
  const { key: actionKey } = action;
  return { store, execution, actionKey, progress, leased: new Set(leased.map(({ id }) => id)) };
}

async function textsOf(source: Source, chunk: number): Promise<readonly JsonText[]> {
  const { progress, actionKey } = source;
  if (chunk * chunkItems >= progress.reached) return [];
  const text = await read(source, fields.itemRecords(actionKey, chunk));
  return elementsOf(text ?? "[]") ?? [];
}

async function read({ store, execution }: Source, field: string): Promise<JsonText | undefined> {
  const key = executionKey(execution.state.id, store.partitions);
  const loaded = await store.load({ key, fields: [field] });
  if (loaded.outcome !== "loaded") throw gone(key);
  return loaded.data.get(field);
}

function viewOf(source: Source, index: number, text: JsonText | undefined): ItemView {
  const { execution, actionKey, leased } = source;
  const { id: executionId, startedAt: began } = execution.state;
  const run = runOfIds(execution.state);
  const record = readItemRecord(text, began) ?? pending;
  const { attempt, startedAt, endedAt, dueAt, child, handout = 0 } = record;
  const task = formatTaskId({ executionId, run, handout, actionKey, item: index });
  const isLeased = record.status === "SCHEDULED" && leased.has(task);
  const status: ActionStatus = isLeased ? "RUNNING" : record.status;
  return { index, status, ...defined({ attempt, startedAt, endedAt, dueAt, child }) };
}

async function withOutcome(
  source: Source,
  view: ItemView,
  text: JsonText | undefined,
): Promise<ItemView> {
  if (view.endedAt === undefined || text === undefined || view.status === "CANCELLED") return view;
  const field = fields.itemOutcome(source.actionKey, view.index);
  const outcome = outcomeIn(text) ?? (await read(source, field));
  if (outcome === undefined) return view;
  return isCompletedText(text) ? { ...view, output: outcome } : { ...view, failure: outcome };
}
