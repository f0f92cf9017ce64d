/**
 * Workflow definitions in the store, and the plans made of them. Versions are immutable, so plans
 * are cached; which version is the newest is read at each unversioned start, never cached.
 *
 * Two kinds of documents: `workflow`, one for each name, lists the versions and is the point where
 * a save takes effect; `workflow-version`, one for each content, is written before it.
 */
import { compilePlan, type Plan } from "../engine/plan.ts";
import { OrchyError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { WorkflowDefinition } from "../model/definition.ts";
import { nearest } from "../nearest.ts";
import type { Store } from "../store/store.ts";
import { documentPage } from "./document-page.ts";
import { hashText } from "./hash.ts";
import type { Page, WorkflowSummary, WorkflowVersion } from "./orchestrator.ts";

interface VersionEntry {
  readonly version: number;
  readonly hash: string;
  readonly savedAt: number;
}

interface WorkflowHead {
  /** Oldest first. */
  readonly versions: readonly VersionEntry[];
  readonly deletedAt?: number;
}

const headKind = "workflow";
const versionKind = "workflow-version";

/** Whether what was cached is what the store has under this number now, where that is known. */
function isOf(cached: { readonly hash: string }, version: number, known?: WorkflowHead): boolean {
  if (known === undefined) return true;
  return known.versions.some((entry) => entry.version === version && entry.hash === cached.hash);
}

export class Plans {
  readonly #store: Store;
  readonly #plans = new Map<string, { readonly plan: Plan; readonly hash: string }>();
  readonly #heads = new Map<string, Promise<WorkflowHead | undefined>>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Saves a checked definition; one that equals the newest version changes nothing. */
  async save(
    definition: WorkflowDefinition,
    now: number,
  ): Promise<{ version: number; created: boolean }> {
    const { version: _given, ...content } = definition;
    const text = JSON.stringify(content);
    const hash = hashText(text);
    for (let tries = 0; tries < limits.commitConflictRetriesMax; tries++) {
      const document = await this.#store.getDocument({ kind: headKind, id: definition.name });
      const head: WorkflowHead =
        document === undefined ? { versions: [] } : JSON.parse(document.body);
      const newest = head.versions.at(-1);
      if (newest?.hash === hash && head.deletedAt === undefined) {
        return { version: newest.version, created: false };
      }
      const version = (newest?.version ?? 0) + 1;
      await this.#writeContent(definition.name, { version, hash, text });
      const versions = [...head.versions, { version, hash, savedAt: now }];
      const answer = await this.#store.putDocument({
        kind: headKind,
        id: definition.name,
        body: JSON.stringify({ versions } satisfies WorkflowHead),
        expectedVersion: document?.version ?? 0,
      });
      if (answer.outcome === "saved") return { version, created: true };
    }
    throw new OrchyError("UNAVAILABLE", "Too many saves of this workflow at once; try again.");
  }

  /** The id contains the hash: a save that lost its race never overwrites the winner's content. */
  async #writeContent(
    name: string,
    content: { version: number; hash: string; text: string },
  ): Promise<void> {
    await this.#store.putDocument({
      kind: versionKind,
      id: `${name}/${content.version}/${content.hash}`,
      body: content.text,
      expectedVersion: 0,
    });
  }

  async #head(name: string): Promise<WorkflowHead | undefined> {
    // Starts of one turn share one read: none of them began before it.
    let reading = this.#heads.get(name);
    if (reading === undefined) {
      reading = this.#store
        .getDocument({ kind: headKind, id: name })
        .then((document) => (document === undefined ? undefined : JSON.parse(document.body)));
      this.#heads.set(name, reading);
      queueMicrotask(() => this.#heads.delete(name));
    }
    return reading;
  }

  /** Of a new start: the version asked for, or the newest of a workflow that is not deleted. */
  async forStart(name: string, version: number | undefined): Promise<Plan> {
    const head = await this.#head(name);
    const newest = head?.versions.at(-1)?.version;
    if (head === undefined || head.deletedAt !== undefined || newest === undefined) {
      throw new OrchyError("NOT_FOUND", await this.#unknown(name));
    }
    return this.get(name, version ?? newest, head);
  }

  /** Of a running execution: deleted workflows keep their versions. */
  async get(name: string, version: number, known?: WorkflowHead): Promise<Plan> {
    const key = `${name}/${version}`;
    const cached = this.#plans.get(key);
    if (cached !== undefined && isOf(cached, version, known)) return cached.plan;
    const { definition, hash } = await this.#read(name, version, known);
    const plan = compilePlan(definition, version);
    if (this.#plans.size >= limits.cachedPlansMax) {
      this.#plans.delete(this.#plans.keys().next().value!);
    }
    this.#plans.set(key, { plan, hash });
    return plan;
  }

  cached(name: string, version: number): Plan | undefined {
    return this.#plans.get(`${name}/${version}`)?.plan;
  }

  /** The store was away: it may have lost versions, and their numbers may be given again. */
  forget(): void {
    this.#plans.clear();
  }

  async read(name: string, version: number | undefined): Promise<WorkflowVersion> {
    const head = await this.#head(name);
    const newest = head?.versions.at(-1)?.version;
    if (head === undefined || newest === undefined) {
      throw new OrchyError("NOT_FOUND", await this.#unknown(name));
    }
    if (head.deletedAt !== undefined && version === undefined) {
      throw new OrchyError("DELETED", `The workflow ${name} has been deleted.`);
    }
    const { hash: _, ...found } = await this.#read(name, version ?? newest, head);
    return found;
  }

  async #read(
    name: string,
    version: number,
    known: WorkflowHead | undefined,
  ): Promise<WorkflowVersion & { readonly hash: string }> {
    const head = known ?? (await this.#head(name));
    const entry = head?.versions.find((candidate) => candidate.version === version);
    if (entry === undefined) {
      const message = `The workflow ${name} has no version ${version}.`;
      throw new OrchyError("NOT_FOUND", message);
    }
    const id = `${name}/${version}/${entry.hash}`;
    const document = await this.#store.getDocument({ kind: versionKind, id });
    if (document === undefined) throw new Error(`the content of ${id} is missing from the store`);
    const definition: WorkflowDefinition = { ...JSON.parse(document.body), version };
    return { name, version, savedAt: entry.savedAt, definition, hash: entry.hash };
  }

  async list(page: { limit: number; cursor?: string }): Promise<Page<WorkflowSummary>> {
    const items: WorkflowSummary[] = [];
    let cursor = page.cursor;
    do {
      const limit = page.limit - items.length;
      const read = await documentPage(this.#store, { kind: headKind, limit, after: cursor });
      cursor = read.after;
      for (const { id: name, body } of read.documents) {
        const { versions, deletedAt }: WorkflowHead = JSON.parse(body);
        const newest = versions.at(-1);
        if (deletedAt !== undefined || newest === undefined) continue;
        items.push({ name, version: newest.version, savedAt: newest.savedAt });
      }
      // Of deleted workflows nothing is shown: a page of them alone is passed over.
    } while (cursor !== undefined && items.length === 0);
    return { items, ...(cursor !== undefined && { cursor }) };
  }

  /** Newest first; the cursor is the last version shown. */
  async versions(
    name: string,
    page: { limit: number; cursor?: string },
  ): Promise<Page<{ version: number; savedAt: number }>> {
    const head = await this.#head(name);
    if (head === undefined) throw new OrchyError("NOT_FOUND", await this.#unknown(name));
    const before = page.cursor === undefined ? Number.POSITIVE_INFINITY : Number(page.cursor);
    const rest = head.versions.filter((entry) => entry.version < before).reverse();
    const items = rest.slice(0, page.limit).map(({ version, savedAt }) => ({ version, savedAt }));
    const last = items.at(-1);
    if (rest.length <= page.limit || last === undefined) return { items };
    return { items, cursor: String(last.version) };
  }

  async delete(name: string, now: number): Promise<void> {
    for (let tries = 0; tries < limits.commitConflictRetriesMax; tries++) {
      const document = await this.#store.getDocument({ kind: headKind, id: name });
      if (document === undefined) throw new OrchyError("NOT_FOUND", await this.#unknown(name));
      const head: WorkflowHead = JSON.parse(document.body);
      if (head.deletedAt !== undefined) return;
      const answer = await this.#store.putDocument({
        kind: headKind,
        id: name,
        body: JSON.stringify({ ...head, deletedAt: now } satisfies WorkflowHead),
        expectedVersion: document.version,
      });
      if (answer.outcome === "saved") return;
    }
    throw new OrchyError("UNAVAILABLE", "Too many saves of this workflow at once; try again.");
  }

  async #unknown(name: string): Promise<string> {
    const documents = await this.#store.listDocuments({ kind: headKind, limit: 1_000 });
    const names = documents.filter((document) => !document.body.includes('"deletedAt"'));
    const near = nearest(
      name,
      names.map((document) => document.id),
    );
    const hint = near === undefined ? "" : ` Did you mean ${near}?`;
    return `There is no workflow ${name}.${hint}`;
  }
}
