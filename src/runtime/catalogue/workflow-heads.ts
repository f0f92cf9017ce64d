/**
 * The versions of workflows, as the store keeps them: one document for each name, which is read at
 * every start and is the point where a save takes effect. It holds the newest versions only;
 * earlier ones are in chunks, which are written before they are left out of it, and never change.
 */
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { Store } from "../../store/store.ts";
import type { Formats } from "../peers/formats.ts";
import { documentPage } from "../shared/document-page.ts";

/** Chunks of versions that one save splits off. */
const versionChunksPerSave = 64;

export interface VersionEntry {
  readonly version: number;
  readonly hash: string;
  readonly savedAt: number;
  /** In which it was saved: see model/format.ts. Absent before format 4. */
  readonly format?: number;
}

export interface WorkflowHead {
  /** Oldest first, without a gap. Versions below the first are in chunks. */
  readonly versions: readonly VersionEntry[];
  readonly deletedAt?: number;
}

const headKind = "workflow";
const chunkKind = "workflow-version-chunk";

/** Servers of older formats look for all versions in the one document. */
const chunkFormat = 3;

/** Chunks hold these versions, the first one from 1 on. */
function chunkOf(version: number): number {
  return Math.floor((version - 1) / limits.versionsPerChunk);
}

function chunkId(name: string, chunk: number): string {
  return `${name}/${chunk}`;
}

export class WorkflowHeads {
  readonly #store: Store;
  readonly #formats: Pick<Formats, "written">;
  readonly #reading = new Map<string, Promise<WorkflowHead | undefined>>();
  readonly #shortening = new Set<string>();

  constructor(store: Store, formats: Pick<Formats, "written">) {
    this.#store = store;
    this.#formats = formats;
  }

  async read(name: string): Promise<WorkflowHead | undefined> {
    // Starts of one turn share one read: none of them began before it.
    let reading = this.#reading.get(name);
    if (reading === undefined) {
      reading = this.#readNow(name);
      this.#reading.set(name, reading);
      queueMicrotask(() => this.#reading.delete(name));
    }
    return reading;
  }

  async #readNow(name: string): Promise<WorkflowHead | undefined> {
    const document = await this.#store.getDocument({ kind: headKind, id: name });
    if (document === undefined) return undefined;
    const head: WorkflowHead = JSON.parse(document.body);
    if (this.#isLong(head) && !this.#shortening.has(name)) {
      this.#shortening.add(name);
      // A background write: what fails is tried again by a later read.
      void this.change(name, (same) => same ?? head)
        .catch(() => {})
        .finally(() => this.#shortening.delete(name));
    }
    return head;
  }

  /**
   * Writes what `next` makes of it, unless that is undefined. `next` may be called several times.
   */
  async change(
    name: string,
    next: (
      head: WorkflowHead | undefined,
    ) => WorkflowHead | undefined | Promise<WorkflowHead | undefined>,
  ): Promise<void> {
    for (let tries = 0; tries < limits.commitConflictRetriesMax; tries++) {
      const document = await this.#store.getDocument({ kind: headKind, id: name });
      const head = document && (JSON.parse(document.body) as WorkflowHead);
      const changed = await next(head);
      if (changed === undefined) return;
      const body = JSON.stringify(await this.#shortened(name, changed));
      const expectedVersion = document?.version ?? 0;
      const saved = await this.#store.putDocument({
        kind: headKind,
        id: name,
        body,
        expectedVersion,
      });
      if (saved.outcome === "saved") return;
    }
    throw new OrchyError("UNAVAILABLE", "Too many concurrent saves of this workflow; try again.");
  }

  #isLong({ versions }: WorkflowHead): boolean {
    return versions.length >= 2 * limits.versionsPerChunk && this.#formats.written() >= chunkFormat;
  }

  /** Without the earliest versions, which are in chunks afterwards. */
  async #shortened(name: string, head: WorkflowHead): Promise<WorkflowHead> {
    let { versions } = head;
    for (let i = 0; i < versionChunksPerSave && this.#isLong({ versions }); i++) {
      const chunk = chunkOf(versions[0]!.version);
      const earliest = versions.filter(({ version }) => chunkOf(version) === chunk);
      await this.#putChunk(chunkId(name, chunk), earliest);
      versions = versions.slice(earliest.length);
    }
    return { ...head, versions };
  }

  /** An existing document is the same, or comes from a head that the store has lost. */
  async #putChunk(id: string, versions: readonly VersionEntry[]): Promise<void> {
    const body = JSON.stringify({ versions } satisfies WorkflowHead);
    let expectedVersion = 0;
    for (let tries = 0; tries < limits.commitConflictRetriesMax; tries++) {
      const answer = await this.#store.putDocument({ kind: chunkKind, id, body, expectedVersion });
      if (answer.outcome === "saved") return;
      expectedVersion = answer.version;
    }
    throw new OrchyError("UNAVAILABLE", "Too many concurrent saves of this workflow; try again.");
  }

  async entry(
    name: string,
    { versions }: WorkflowHead,
    version: number,
  ): Promise<VersionEntry | undefined> {
    const isOf = (entry: VersionEntry) => entry.version === version;
    const isEarlier = version >= 1 && version < (versions[0]?.version ?? 1);
    return (isEarlier ? await this.#chunk(name, chunkOf(version)) : versions).find(isOf);
  }

  /** The newest first, of those below `before`, up to `limit`. */
  async entries(
    name: string,
    { versions }: WorkflowHead,
    { before, count }: { readonly before: number; readonly count: number },
  ): Promise<readonly VersionEntry[]> {
    const found = versions.filter(({ version }) => version < before).reverse();
    let next = Math.min(before, versions[0]?.version ?? 1) - 1;
    while (found.length < count && next >= 1) {
      const chunk = await this.#chunk(name, chunkOf(next));
      found.push(...chunk.filter(({ version }) => version <= next).reverse());
      next = chunkOf(next) * limits.versionsPerChunk;
    }
    return found.slice(0, count);
  }

  async #chunk(name: string, chunk: number): Promise<readonly VersionEntry[]> {
    const id = chunkId(name, chunk);
    const document = await this.#store.getDocument({ kind: chunkKind, id });
    return document === undefined ? [] : (JSON.parse(document.body) as WorkflowHead).versions;
  }

  async page(request: { readonly limit: number; readonly after?: string | undefined }): Promise<{
    readonly heads: readonly (WorkflowHead & { readonly name: string })[];
    readonly after: string | undefined;
  }> {
    const { documents, after } = await documentPage(this.#store, { kind: headKind, ...request });
    const heads = documents.map(({ id, body }) => {
      return { name: id, ...(JSON.parse(body) as WorkflowHead) };
    });
    return { heads, after };
  }
}
