/** Digests of what a store holds, by which a copy is compared with its source. */
import { createHash } from "node:crypto";
import { defined } from "../../base/defined.ts";
import type { DumpedHead, ExecutionDump, Store } from "../store.ts";

/** Executions that one page of a dump begins. */
const executionsPerPage = 100;

/** By execution: the exclusive or of the hashes of all that it owns, each with its place. */
class Digest {
  readonly #sum = Buffer.alloc(16);
  #messages = 0;

  add(piece: ExecutionDump): void {
    const { first, fields, history, tasks, timers, messages } = piece;
    if (first !== undefined) this.#add(headOf(first));
    for (const [name, value] of fields) this.#add(["field", name, value]);
    for (const [i, entry] of history.items.entries()) {
      this.#add(["history", history.after + i, entry]);
    }
    for (const [i, task] of tasks.items.entries()) {
      const { id, queue, priority, timeoutMs, heartbeatMs, queuedAt, state, until } = task;
      const { token = null, workerId, leasedAt, deadline } = task.lease ?? {};
      const lease = [token, workerId ?? null, leasedAt ?? null, deadline ?? null];
      const terms = [id, queue, priority, timeoutMs, heartbeatMs, queuedAt, state, until];
      const texts = [task.queueLeft, task.header, task.parameters];
      this.#add(["task", tasks.after + i, ...terms, ...texts, ...lease]);
    }
    for (const { id, at } of timers) this.#add(["timer", id, at]);
    for (const { id, body, deliveries } of messages) {
      this.#add(["message", this.#messages++, id, body, deliveries]);
    }
  }

  #add(values: readonly unknown[]): void {
    const hash = createHash("sha256").update(JSON.stringify(values)).digest();
    for (let i = 0; i < this.#sum.length; i++) this.#sum[i]! ^= hash[i]!;
  }

  get text(): string {
    return this.#sum.toString("base64url");
  }
}

/** Without what a store may forget: all commit ids but the last one. */
function headOf(first: DumpedHead): readonly unknown[] {
  const { revision, commitId } = first.head;
  if (first.kind === "tombstone") {
    const { requestHash = null, status = null, endedAt = null } = first.kept ?? {};
    return ["tombstone", revision, commitId, first.until, requestHash, status, endedAt];
  }
  const { createdBy, requestHash = null, listing, held, state } = first;
  const { id, workflow, version, status, startedAt, endedAt = null } = listing;
  const { correlationId = null, parent = null, inline = null } = listing;
  const listed = [id, workflow, version, status, startedAt, endedAt, correlationId, parent, inline];
  return ["execution", revision, commitId, createdBy, requestHash, held, state, ...listed];
}

/** Pages of a partition's dump, from the given place on. */
export async function* pagesOf(store: Store, partition: number, from?: string) {
  for (let after = from; ; ) {
    const request = { partition, limit: executionsPerPage, ...defined({ after }) };
    const page = await store.dump(request);
    yield page;
    after = page.next;
    if (after === undefined) return;
  }
}

/** Of each execution, and of each tombstone that does not end before `endsAfter`. */
export async function digestsOf(
  store: Store,
  { endsAfter, onPage }: { readonly endsAfter: number; readonly onPage: () => void },
): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  for (let partition = 0; partition < store.partitions; partition++) {
    let current: { readonly id: string; readonly digest: Digest } | undefined;
    for await (const { pieces } of pagesOf(store, partition)) {
      for (const piece of pieces) {
        const { id, first } = piece;
        if (first?.kind === "tombstone" && first.until <= endsAfter) continue;
        if (current?.id !== id) {
          if (current !== undefined) digests.set(current.id, current.digest.text);
          current = { id, digest: new Digest() };
        }
        current.digest.add(piece);
      }
      onPage();
    }
    if (current !== undefined) digests.set(current.id, current.digest.text);
  }
  return digests;
}
