/**
 * Lists: an execution stands in one for each way to find it. Its entry is a hint like any other: what
 * is shown is read from the heads, and only where the head names this entry and equals the filter.
 */

import { defined } from "../../base/defined.ts";
import { looksMax, matches } from "../kit/lists.ts";
import type { ListAnswer, Listing, ListPlace, ListRequest } from "../store.ts";
import type { Place, Shelf } from "./driver.ts";
import type { Edit } from "./edit.ts";
import { type HintPlace, keyOf, readHint, verdictOn } from "./hints.ts";
import type { ExecutionRecord } from "./model.ts";
import type { Records } from "./records.ts";

/** Between the id of an execution and the end of its place: comes before all that ids hold. */
const separator = "\u0001";
const pageMax = 100;
/** Read at once where all are wanted. */
const listedMax = 500;

function listShelf(partition: number, name: string): Shelf {
  return { partition, kind: "list", name };
}

function statusName({ status }: Pick<Listing, "status">): string {
  return `status/${status}`;
}

function otherNames({ workflow, correlationId, parent }: Listing): string[] {
  const names = ["all", `workflow/${workflow}`];
  if (correlationId !== undefined) names.push(`correlation/${correlationId}`);
  if (parent !== undefined) names.push(`parent/${parent}`);
  return names;
}

function placeOf({ startedAt, id }: ListPlace, end: string): Place {
  return { at: startedAt, id: `${id}${separator}${end}` };
}

function placesOf(edit: Edit, { listing, listed }: ExecutionRecord): HintPlace[] {
  const { partition } = edit.key;
  const other = placeOf(listing, listed.other);
  return [
    ...otherNames(listing).map((name) => ({ shelf: listShelf(partition, name), place: other })),
    {
      shelf: listShelf(partition, statusName(listing)),
      place: placeOf(listing, listed.status),
    },
  ];
}

/** A new execution enters all of its lists. */
export function enterLists(edit: Edit): void {
  for (const { shelf, place } of placesOf(edit, edit.record)) {
    edit.posts.push({ shelf, entry: { place, body: edit.hint() } });
  }
}

export function leaveLists(edit: Edit): void {
  edit.strikes.push(...placesOf(edit, edit.record));
}

/** From one list by status to another, under a new place. */
export function moveLists(edit: Edit, listing: Listing, end: string): void {
  const { partition } = edit.key;
  const { listing: before, listed } = edit.record;
  if (listing.status === before.status) {
    edit.change({ listing });
    return;
  }
  edit.strikes.push({
    shelf: listShelf(partition, statusName(before)),
    place: placeOf(before, listed.status),
  });
  edit.change({ listing, listed: { ...listed, status: end } });
  const shelf = listShelf(partition, statusName(listing));
  const place = placeOf(listing, end);
  edit.posts.push({ shelf, entry: { place, body: edit.hint() } });
}

/** The list that holds the fewest, as far as that can be said without counting. */
function bestName(request: ListRequest): { readonly name: string; readonly isStatus: boolean } {
  const { parent, correlationId, status, workflow } = request;
  const by = (name: string) => ({ name, isStatus: false });
  if (parent !== undefined) return by(`parent/${parent}`);
  if (correlationId !== undefined) return by(`correlation/${correlationId}`);
  const isRare = status !== undefined && status !== "COMPLETED";
  if (workflow !== undefined && !isRare) return by(`workflow/${workflow}`);
  if (status !== undefined) return { name: statusName({ status }), isStatus: true };
  return by("all");
}

/** Of all executions of the partition that are not removed. */
export async function listedIds(records: Records, partition: number): Promise<readonly string[]> {
  const ids: string[] = [];
  let after: ListPlace | undefined;
  do {
    const request = { partition, limit: listedMax, ...defined({ after }) };
    const { items, reached } = await list(records, request);
    ids.push(...items.map(({ id }) => id));
    after = reached;
  } while (after !== undefined);
  return ids;
}

export async function list(records: Records, request: ListRequest): Promise<ListAnswer> {
  const { partition, limit, after, startedAfter } = request;
  const { name, isStatus } = bestName(request);
  const shelf = listShelf(partition, name);
  const items: Listing[] = [];
  let looked = 0;
  let reached: ListPlace | undefined;
  let place = after && { at: after.startedAt, id: after.id };
  for (;;) {
    const room = Math.min(limit - items.length, looksMax(request) - looked, pageMax);
    const page = await records.driver.shelves.scan({
      shelf,
      limit: Math.max(1, room),
      ...defined({ after: place, bound: startedAfter }),
    });
    const shown = await show(records, shelf, page.entries.map(readHint), isStatus);
    looked += shown.length;
    items.push(...shown.filter((listing) => matches(listing, request)));
    place = page.entries.at(-1)?.place ?? place;
    const last = page.entries.at(-1);
    if (last !== undefined) {
      reached = { startedAt: last.place.at, id: last.place.id.split(separator)[0] as string };
    }
    if (!page.more || reached === undefined) return { items, looked };
    if (items.length >= limit || looked >= looksMax(request)) return { items, looked, reached };
  }
}

/** What the entries lead to; those that lead to nothing are struck. */
async function show(
  records: Records,
  shelf: Shelf,
  hints: readonly ReturnType<typeof readHint>[],
  isStatus: boolean,
): Promise<readonly Listing[]> {
  const { partition } = shelf;
  const groups = await records.readHeads(hints.map((hint) => keyOf(partition, hint)));
  const shown: Listing[] = [];
  const outdated: HintPlace[] = [];
  for (const [i, hint] of hints.entries()) {
    const execution = groups[i]?.execution;
    const { place } = hint;
    const isRemoved = execution === undefined || execution.grave !== undefined;
    const end = execution?.listed[isStatus ? "status" : "other"] ?? "";
    const isNamed = !isRemoved && placeOf(execution.listing, end).id === place.id;
    if (isNamed) shown.push(execution.listing);
    else if (verdictOn(hint, execution?.version, hint.version) === "strike") {
      outdated.push({ shelf, place });
    }
  }
  await records.strike(outdated);
  return shown;
}
