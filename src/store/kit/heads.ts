/** What a create or a commit returns before anything is written, and what a removal keeps. */
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import type { ExecutionStatus } from "../../model/execution.ts";
import type {
  CommitAnswer,
  CommitRequest,
  CreateAnswer,
  CreateRequest,
  Head,
  KeptStart,
} from "../store.ts";

export function sameHead(a: Head, b: Head): boolean {
  return a.revision === b.revision && a.commitId === b.commitId;
}

/** Recent commit ids, oldest first, with one more. */
export function withCommitId(recent: readonly string[], commitId: string): readonly string[] {
  return [...recent.slice(1 - limits.commitIdsKept), commitId];
}

/** Of a create that finds an execution, which is not removed. */
export function createFinds(
  known: {
    /** Commit id of the creation. */
    readonly createdBy: string;
    readonly head: Head;
    readonly status: ExecutionStatus;
    readonly requestHash: string | undefined;
  },
  { commitId }: CreateRequest,
): CreateAnswer {
  const { createdBy, head, status, requestHash } = known;
  if (createdBy === commitId) return { outcome: "created", head: { revision: 1, commitId } };
  return { outcome: "exists", head, status, ...defined({ requestHash }) };
}

/** A recent commit id is checked before the head, and both before tasks and timers. */
export function refuseCommit(
  head: Head,
  recent: readonly string[],
  request: CommitRequest,
): CommitAnswer | undefined {
  if (recent.includes(request.commitId)) return { outcome: "already_committed", head };
  return sameHead(head, request.expected) ? undefined : { outcome: "conflict", head };
}

/** What the tombstone of a removal with `keepStart` holds; absent: no hash was stored. */
export function keptStart(removed: {
  readonly requestHash: string | undefined;
  readonly status: ExecutionStatus;
  readonly endedAt: number | undefined;
}): KeptStart | undefined {
  const { requestHash, status, endedAt } = removed;
  if (requestHash === undefined) return undefined;
  const hash = requestHash.slice(0, limits.keptHashChars);
  return { requestHash: hash, status, ...defined({ endedAt }) };
}

/** Of a create that finds a tombstone. */
export function createBuried(kept: KeptStart | undefined): CreateAnswer {
  return { outcome: "tombstone", ...defined({ kept }) };
}
