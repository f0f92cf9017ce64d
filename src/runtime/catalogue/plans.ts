/**
 * Workflow definitions in the store, and the plans made of them. Versions are immutable, so plans
 * are cached; which version is the newest is read at each unversioned start, never cached.
 *
 * Contents are separate documents, which are written before the head of the workflow lists them
 * (workflow-heads.ts).
 */

import { BoundedMap } from "../../base/bounded-map.ts";
import { defined } from "../../base/defined.ts";
import { OrchyError } from "../../base/errors.ts";
import { hashText } from "../../base/hash.ts";
import { limits } from "../../base/limits.ts";
import { nearest } from "../../base/nearest.ts";
import { compilePlan, type Plan, planWithin } from "../../language/plan.ts";
import { isSameValue } from "../../model/canonical.ts";
import type { WorkflowDefinition } from "../../model/definition.ts";
import type { ExecutionState } from "../../model/execution.ts";
import { currentFormat } from "../../model/format.ts";
import type { JsonText } from "../../model/json.ts";
import { parseExact } from "../../model/numbers.ts";
import type { Store } from "../../store/store.ts";
import type { Formats } from "../peers/formats.ts";
import type { Page, WorkflowSummary, WorkflowVersion } from "../shared/orchestrator.ts";
import { type VersionEntry, type WorkflowHead, WorkflowHeads } from "./workflow-heads.ts";

/** Known names that are compared with an unknown one, to suggest the nearest. */
const namesSuggested = 1_000;

const versionKind = "workflow-version";

/** From this format on the entry of a version tells in which one it was saved. */
const entryFormat = 4;

/** Whether what was cached is what the store has under this number now, where that is known. */
function isOf(cached: { readonly hash: string }, version: number, known?: WorkflowHead): boolean {
  const first = known?.versions[0]?.version;
  if (known === undefined || first === undefined || version < first) return true;
  return known.versions.some((entry) => entry.version === version && entry.hash === cached.hash);
}

/** Where the definition of a version is kept. */
function contentAt(name: string, { version, hash }: { version: number; hash: string }) {
  return { kind: versionKind, id: `${name}/${version}/${hash}` };
}

function contentOf(text: JsonText): unknown {
  const { description, ...content } = parseExact(text) as WorkflowDefinition;
  return description ? { ...content, description } : content;
}

type PlanOf = Pick<ExecutionState, "workflow" | "version" | "inline">;

export class Plans {
  readonly #store: Store;
  readonly #plans = new BoundedMap<string, { readonly plan: Plan; readonly hash: string }>(
    limits.cachedPlansMax,
  );
  readonly #heads: WorkflowHeads;
  readonly #formats: Pick<Formats, "written">;

  constructor(store: Store, formats: Pick<Formats, "written"> = { written: () => currentFormat }) {
    this.#store = store;
    this.#formats = formats;
    this.#heads = new WorkflowHeads(store, formats);
  }

  /** Saves a checked definition; one with the values of the newest version changes nothing. */
  async save(
    definition: WorkflowDefinition,
    now: number,
  ): Promise<{ version: number; created: boolean }> {
    const { version: _given, ...content } = definition;
    const { name } = definition;
    const text = JSON.stringify(content);
    const hash = hashText(text);
    let saved = { version: 0, created: false };
    await this.#heads.change(name, async (head) => {
      const newest = head?.versions.at(-1);
      const isLive = newest !== undefined && head?.deletedAt === undefined;
      if (isLive && (newest.hash === hash || (await this.#isContent(name, newest, text)))) {
        saved = { version: newest.version, created: false };
        return undefined;
      }
      const version = (newest?.version ?? 0) + 1;
      saved = { version, created: true };
      await this.#writeContent(name, { version, hash, text });
      const format = this.#formats.written();
      const entry = { version, hash, savedAt: now, ...(format >= entryFormat && { format }) };
      return { versions: [...(head?.versions ?? []), entry] };
    });
    return saved;
  }

  /**
   * The order of members does not count, the spelling of numbers neither, nor an empty description.
   */
  async #isContent(name: string, entry: VersionEntry, text: JsonText): Promise<boolean> {
    const document = await this.#store.getDocument(contentAt(name, entry));
    return document !== undefined && isSameValue(contentOf(document.body), contentOf(text));
  }

  /** The id contains the hash: a save that lost its race never overwrites the winner's content. */
  async #writeContent(
    name: string,
    content: { version: number; hash: string; text: string },
  ): Promise<void> {
    await this.#store.putDocument({
      ...contentAt(name, content),
      body: content.text,
      expectedVersion: 0,
    });
  }

  /**
   * Of a start: the requested version, or the newest. Of a deleted workflow only for the repeat of
   * a start that was made before.
   */
  async forStart(
    name: string,
    version: number | undefined,
    isRepeat?: () => Promise<boolean>,
  ): Promise<Plan> {
    const head = await this.#heads.read(name);
    const newest = head?.versions.at(-1)?.version;
    const isGone = head?.deletedAt !== undefined && !(await isRepeat?.());
    if (head === undefined || isGone || newest === undefined) {
      throw new OrchyError("NOT_FOUND", await this.#unknown(name));
    }
    return this.get(name, version ?? newest, head);
  }

  /** Of a running execution: deleted workflows keep their versions. */
  async get(name: string, version: number, known?: WorkflowHead): Promise<Plan> {
    const key = `${name}/${version}`;
    const cached = this.#plans.get(key);
    if (cached !== undefined && isOf(cached, version, known)) return cached.plan;
    const { definition, hash, format } = await this.#read(name, version, known);
    const plan = compilePlan(definition, version, format);
    this.#plans.set(key, { plan, hash });
    return plan;
  }

  /** Of an execution, which may be that of an inline definition. */
  async of({ workflow, version, inline }: PlanOf): Promise<Plan> {
    return planWithin(await this.get(workflow, version), inline);
  }

  /** The same if it is in memory. */
  cachedOf({ workflow, version, inline }: PlanOf): Plan | undefined {
    const cached = this.#plans.get(`${workflow}/${version}`);
    return cached && planWithin(cached.plan, inline);
  }

  /** The store was away: it may have lost versions, and their numbers may be given again. */
  forget(): void {
    this.#plans.clear();
  }

  async read(name: string, version: number | undefined): Promise<WorkflowVersion> {
    const head = await this.#heads.read(name);
    const newest = head?.versions.at(-1)?.version;
    if (head === undefined || newest === undefined) {
      throw new OrchyError("NOT_FOUND", await this.#unknown(name));
    }
    if (head.deletedAt !== undefined && version === undefined) {
      throw new OrchyError("DELETED", `The workflow ${name} has been deleted.`);
    }
    const { hash: _, format: _format, ...found } = await this.#read(name, version ?? newest, head);
    return found;
  }

  async #read(
    name: string,
    version: number,
    known: WorkflowHead | undefined,
  ): Promise<WorkflowVersion & { readonly hash: string; readonly format: number }> {
    const head = known ?? (await this.#heads.read(name));
    const entry = head && (await this.#heads.entry(name, head, version));
    if (entry === undefined) {
      const message = `The workflow ${name} has no version ${version}.`;
      throw new OrchyError("NOT_FOUND", message);
    }
    const at = contentAt(name, entry);
    const document = await this.#store.getDocument(at);
    if (document === undefined)
      throw new Error(`the content of ${at.id} is missing from the store`);
    const content = parseExact(document.body) as Omit<WorkflowDefinition, "version">;
    const definition: WorkflowDefinition = { ...content, version };
    const { savedAt, hash, format = entryFormat - 1 } = entry;
    return { name, version, savedAt, definition, hash, format };
  }

  async list(page: { limit: number; cursor?: string }): Promise<Page<WorkflowSummary>> {
    const items: WorkflowSummary[] = [];
    let cursor = page.cursor;
    do {
      const limit = page.limit - items.length;
      const read = await this.#heads.page({ limit, after: cursor });
      cursor = read.after;
      for (const { name, versions, deletedAt } of read.heads) {
        const newest = versions.at(-1);
        if (deletedAt !== undefined || newest === undefined) continue;
        items.push({ name, version: newest.version, savedAt: newest.savedAt });
      }
      // Of deleted workflows nothing is shown: a page of them alone is passed over.
    } while (cursor !== undefined && items.length === 0);
    return { items, ...defined({ cursor }) };
  }

  /** Newest first; the cursor is the last version shown. */
  async versions(
    name: string,
    page: { limit: number; cursor?: string },
  ): Promise<Page<{ version: number; savedAt: number }>> {
    const head = await this.#heads.read(name);
    if (head === undefined) throw new OrchyError("NOT_FOUND", await this.#unknown(name));
    const before = page.cursor === undefined ? Number.POSITIVE_INFINITY : Number(page.cursor);
    const rest = await this.#heads.entries(name, head, { before, count: page.limit + 1 });
    const items = rest.slice(0, page.limit).map(({ version, savedAt }) => ({ version, savedAt }));
    const last = items.at(-1);
    if (rest.length <= page.limit || last === undefined) return { items };
    return { items, cursor: String(last.version) };
  }

  /** A sentence that there is no such workflow; undefined: there is one. */
  async unknown(name: string): Promise<string | undefined> {
    const head = await this.#heads.read(name);
    return head === undefined || head.deletedAt !== undefined ? this.#unknown(name) : undefined;
  }

  async delete(name: string, now: number): Promise<void> {
    await this.#heads.change(name, async (head) => {
      if (head === undefined) throw new OrchyError("NOT_FOUND", await this.#unknown(name));
      return head.deletedAt === undefined ? { ...head, deletedAt: now } : undefined;
    });
  }

  async #unknown(name: string): Promise<string> {
    const { heads } = await this.#heads.page({ limit: namesSuggested });
    const names = heads.filter(({ deletedAt }) => deletedAt === undefined);
    const near = nearest(
      name,
      names.map((head) => head.name),
    );
    const hint = near === undefined ? "" : ` Did you mean ${near}?`;
    return `There is no workflow ${name}.${hint}`;
  }
}
