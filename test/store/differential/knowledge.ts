/** What the generator has learnt from answers, so that its next requests are often right. */
import type { ExecutionKey } from "../../../src/model/ids.ts";
import type { CommitRequest, CreateRequest, DueItem, Head } from "../../../src/store/store.ts";

const kept = 12;

export interface Lease {
  readonly key: ExecutionKey;
  readonly taskId: string;
  readonly token: string;
  readonly until: number;
}

export interface Tombstone {
  readonly key: ExecutionKey;
  /** Until then it is certain to be there. */
  readonly until: number;
}

/** The latest of something, oldest first. */
export class Latest<Item> {
  readonly items: Item[] = [];

  add(...added: readonly Item[]): void {
    this.items.push(...added);
    this.items.splice(0, this.items.length - kept);
  }
}

export class Knowledge {
  readonly heads = new Map<string, Head>();
  readonly oldHeads = new Latest<Head>();
  readonly creates = new Latest<CreateRequest>();
  readonly commits = new Latest<CommitRequest>();
  readonly leases = new Latest<Lease>();
  readonly due = new Latest<{ readonly claimId: string; readonly item: DueItem }>();
  readonly messages = new Latest<{ readonly key: ExecutionKey; readonly id: string }>();
  readonly claims = new Latest<{ readonly partition: number; readonly id: string }>();
  /** By execution. */
  readonly tombstones = new Map<string, Tombstone>();
}
