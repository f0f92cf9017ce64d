/** Sources as documents of the store. Servers of earlier versions never read them. */
import type { Clock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { isSameJson } from "../../model/canonical.ts";
import { parseExact } from "../../model/numbers.ts";
import type { SavedSource, SourceDefinition } from "../../model/source.ts";
import type { Document, Store } from "../../store/store.ts";
import { documentPage } from "../shared/document-page.ts";
import type { SourcePage } from "../shared/source-service.ts";

const kind = "source";

export interface NamedSource extends SavedSource {
  readonly name: string;
  /** Of the document: another one is another source. */
  readonly version: number;
}

export class SourceDocuments {
  readonly #store: Store;
  readonly #clock: Clock;

  constructor({ store, clock }: { readonly store: Store; readonly clock: Clock }) {
    this.#store = store;
    this.#clock = clock;
  }

  async get(name: string): Promise<NamedSource | undefined> {
    const document = await this.#store.getDocument({ kind, id: name });
    return document && named(document);
  }

  /** Throws NOT_FOUND. */
  async mustGet(name: string): Promise<NamedSource> {
    const found = await this.get(name);
    if (found === undefined) throw notFound(name);
    return found;
  }

  async all(): Promise<readonly NamedSource[]> {
    const documents = await this.#store.listDocuments({ kind, limit: limits.sourcesMax });
    return documents.map(named);
  }

  async page(page: { limit: number; cursor?: string }): Promise<SourcePage<NamedSource>> {
    const { limit, cursor } = page;
    const { documents, after } = await documentPage(this.#store, { kind, limit, after: cursor });
    return { items: documents.map(named), ...defined({ cursor: after }) };
  }

  /** A save that changes nothing writes nothing, and returns `changed` false. One that is paused stays so. */
  async save(
    name: string,
    definition: SourceDefinition,
  ): Promise<{ readonly source: NamedSource; readonly changed: boolean }> {
    const text = JSON.stringify(definition);
    let changed = false;
    const source = await this.#change(name, async (before) => {
      if (before === undefined) await this.#mustHaveRoom();
      changed = before === undefined || !isSameJson(JSON.stringify(before.definition), text);
      if (!changed) return undefined;
      const paused = before?.paused;
      return { definition, savedAt: this.#clock.now(), ...defined({ paused }) };
    });
    return { source, changed };
  }

  async #mustHaveRoom(): Promise<void> {
    if ((await this.all()).length < limits.sourcesMax) return;
    const message = `There are ${limits.sourcesMax} sources already; delete one first.`;
    throw new OrchyError("TOO_MANY", message);
  }

  /** `changed` false: it was so before. */
  async setPaused(
    name: string,
    isPaused: boolean,
  ): Promise<{ readonly source: NamedSource; readonly changed: boolean }> {
    let changed = false;
    const source = await this.#change(name, async (before) => {
      if (before === undefined) throw notFound(name);
      changed = (before.paused === true) !== isPaused;
      if (!changed) return undefined;
      const { definition, savedAt } = before;
      return { definition, savedAt, ...(isPaused && { paused: true as const }) };
    });
    return { source, changed };
  }

  async delete(name: string): Promise<void> {
    if (!(await this.#store.deleteDocument({ kind, id: name }))) throw notFound(name);
  }

  /** `next` returns what it becomes; undefined: it stays. */
  async #change(
    name: string,
    next: (before: NamedSource | undefined) => Promise<SavedSource | undefined>,
  ): Promise<NamedSource> {
    for (let tries = 0; tries < limits.commitConflictRetriesMax; tries++) {
      const before = await this.get(name);
      const saved = await next(before);
      if (saved === undefined) return before!;
      const body = JSON.stringify(saved);
      const expectedVersion = before?.version ?? 0;
      const answer = await this.#store.putDocument({ kind, id: name, body, expectedVersion });
      if (answer.outcome === "saved") return { name, version: answer.version, ...saved };
    }
    throw new OrchyError("UNAVAILABLE", "Too many concurrent changes of this source; try again.");
  }
}

function notFound(name: string): OrchyError {
  return new OrchyError("NOT_FOUND", `There is no source ${name}.`);
}

function named({ id, version, body }: Document): NamedSource {
  return { name: id, version, ...(parseExact(body) as SavedSource) };
}
