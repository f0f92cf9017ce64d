/**
 * The registered rules of user actions. They may change at any time, on any server: what is cached
 * is used at once and read again in the background when it is older than a few seconds.
 */

import type { Clock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { Plan } from "../../language/plan.ts";
import { isSameJson } from "../../model/canonical.ts";
import type { ActionDefinition } from "../../model/definition.ts";
import type { Document, Store } from "../../store/store.ts";
import { documentPage } from "../shared/document-page.ts";
import type { Page } from "../shared/orchestrator.ts";
import type { SavedAction } from "../shared/saved-action.ts";

interface CachedAction {
  readonly definition: ActionDefinition | undefined;
  readonly readAt: number;
  readonly bytes: number;
}

const kind = "action";
const freshMs = 5_000;
const cachedMax = 10_000;
/** What an entry takes besides its texts. */
const entryBytes = 500;

export class ActionRegistry {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #cache = new Map<string, CachedAction>();
  #cachedBytes = 0;
  readonly #reading = new Map<string, Promise<void>>();

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  readonly registered = (name: string): ActionDefinition | undefined =>
    this.#cache.get(name)?.definition;

  /** Whether its tasks are delivered to a broker, as far as known: what is not is read meanwhile. */
  isDelivered(name: string): boolean {
    if (!isFresh(this.#cache.get(name), this.#clock.now())) void this.#read(name);
    return this.registered(name)?.deliver !== undefined;
  }

  /** Where its tasks are delivered to, if they are. */
  async deliveredTo(name: string): Promise<string | undefined> {
    if (!isFresh(this.#cache.get(name), this.#clock.now())) await this.#read(name);
    return this.registered(name)?.deliver?.to;
  }

  /** Undefined when every user action of the plan is known; else wait before deciding. */
  ensure(plan: Plan): Promise<unknown> | undefined {
    const now = this.#clock.now();
    let missing: Promise<void>[] | undefined;
    for (const name of plan.userActionNames) {
      const cached = this.#cache.get(name);
      if (isFresh(cached, now)) continue;
      const reading = this.#read(name);
      if (cached !== undefined) continue;
      missing ??= [];
      missing.push(reading);
    }
    return missing && Promise.all(missing);
  }

  #read(name: string): Promise<void> {
    let reading = this.#reading.get(name);
    if (reading === undefined) {
      reading = this.#store
        .getDocument({ kind, id: name })
        .then((document) => this.#keep(name, parse(document), document?.body))
        .finally(() => this.#reading.delete(name));
      // Callers that wait for the read get the error from it; a background read has none.
      reading.catch(() => {});
      this.#reading.set(name, reading);
    }
    return reading;
  }

  #keep(name: string, definition: ActionDefinition | undefined, body = ""): void {
    const bytes = entryBytes + name.length + 2 * body.length;
    this.#drop(name);
    this.#cache.set(name, { definition, readAt: this.#clock.now(), bytes });
    this.#cachedBytes += bytes;
    while (this.#cache.size > cachedMax || this.#cachedBytes > limits.cachedActionBytesMax) {
      this.#drop(this.#cache.keys().next().value!);
    }
  }

  #drop(name: string): void {
    const cached = this.#cache.get(name);
    if (cached === undefined) return;
    this.#cache.delete(name);
    this.#cachedBytes -= cached.bytes;
  }

  /**
   * The last save wins; one that changes nothing writes nothing. `keepDeliver`: whoever saves it
   * cannot say where its tasks are delivered to.
   */
  async save(
    sent: ActionDefinition,
    { keepDeliver = false }: { readonly keepDeliver?: boolean } = {},
  ): Promise<SavedAction> {
    for (let tries = 0; tries < limits.commitConflictRetriesMax; tries++) {
      const document = await this.#store.getDocument({ kind, id: sent.name });
      const kept = keepDeliver ? defined({ deliver: parse(document)?.deliver }) : {};
      const definition = { ...sent, ...kept };
      const body = JSON.stringify(definition);
      if (document !== undefined && isSameJson(document.body, body)) {
        this.#keep(definition.name, definition, body);
        return { definition, changed: false };
      }
      const answer = await this.#store.putDocument({
        kind,
        id: definition.name,
        body,
        expectedVersion: document?.version ?? 0,
      });
      if (answer.outcome === "saved") {
        this.#keep(definition.name, definition, body);
        return { definition, changed: true };
      }
    }
    throw new OrchyError("UNAVAILABLE", "Too many concurrent saves of this action; try again.");
  }

  async get(name: string): Promise<ActionDefinition | undefined> {
    return parse(await this.#store.getDocument({ kind, id: name }));
  }

  async list(limit: number): Promise<readonly ActionDefinition[]> {
    const documents = await this.#store.listDocuments({ kind, limit });
    return documents.map((document) => JSON.parse(document.body));
  }

  /** In order of their names. */
  async page(page: { limit: number; cursor?: string }): Promise<Page<ActionDefinition>> {
    const { limit, cursor } = page;
    const { documents, after } = await documentPage(this.#store, { kind, limit, after: cursor });
    const items = documents.map((document): ActionDefinition => JSON.parse(document.body));
    return { items, ...defined({ cursor: after }) };
  }
}

function isFresh(cached: CachedAction | undefined, now: number): boolean {
  return cached !== undefined && now - cached.readAt < freshMs;
}

function parse(document: Document | undefined): ActionDefinition | undefined {
  return document === undefined ? undefined : JSON.parse(document.body);
}
