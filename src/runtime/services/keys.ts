/**
 * The keys of an installation: made, listed, revoked, verified. They are documents in the store;
 * what was read of one is trusted for a few seconds, so a poll costs no read, and a revocation
 * counts on every server after that time. Once made, a key always exists, if only as a revoked one:
 * what was closed is never opened by itself.
 */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { BoundedMap } from "../../base/bounded-map.ts";
import type { Clock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { formatKey, type Key, keyIdBytes, keySecretBytes, parseKey } from "../../model/key.ts";
import { type Store, StoreFault } from "../../store/store.ts";
import { documentPage } from "../shared/document-page.ts";
import { tellFaults } from "../shared/faults.ts";
import type { Page } from "../shared/orchestrator.ts";

/** Unknown keys that are looked up within `keyFreshMs` before all keys are listed once. */
export const unknownKeysReadMax = 20;

const kind = "key";

export interface NewKey extends Pick<Key, "name" | "scopes" | "actions"> {}

/** A key with what proves it; the digest leaves this file only for the store. */
interface StoredKey {
  readonly key: Key;
  readonly digest: Buffer;
}

interface Known {
  /** Undefined: no such key exists. */
  readonly stored: StoredKey | undefined;
  readonly readAt: number;
}

/** Compared with in place of a missing key, so that it takes as long as a wrong one. */
const noDigest = Buffer.alloc(32);

export class Keys {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #known = new BoundedMap<string, Known>(limits.cachedKeysMax);
  /** Apart from the known ones, so that guesses do not push those out. */
  readonly #unknown = new BoundedMap<string, Known>(limits.cachedKeysMax);
  readonly #reading = new Map<string, Promise<Known>>();
  /** How many keys that do not exist were looked up since then. */
  #misses = { count: 0, sinceMs: Number.NEGATIVE_INFINITY };
  #listing: { readonly ids: Promise<Set<string>>; readonly readAt: number } | undefined;
  /** When no key was last seen to exist; Infinity: one exists. */
  #noneUntil = Number.NEGATIVE_INFINITY;

  readonly #onInForce: () => void;

  constructor(options: {
    readonly store: Store;
    readonly clock: Clock;
    /** Called once, when the first key is seen. */
    readonly onInForce?: () => void;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#onInForce = options.onInForce ?? (() => {});
  }

  /**
   * Whether callers need a key, as seen in the last seconds; reads the store when those are over.
   */
  inForce(): boolean | Promise<boolean> {
    if (this.#isInForce) return true;
    const leftMs = this.#noneUntil - this.#clock.now();
    // More than was ever left: the clock was set back.
    return leftMs > 0 && leftMs <= limits.keyFreshMs ? false : this.exist();
  }

  /** The same, as it is now. */
  async exist(): Promise<boolean> {
    const first = await tellFaults(() => this.#store.listDocuments({ kind, limit: 1 }));
    if (first.length > 0) this.#nowInForce();
    else if (!this.#isInForce) this.#noneUntil = this.#clock.now() + limits.keyFreshMs;
    return this.#isInForce;
  }

  get #isInForce(): boolean {
    return this.#noneUntil === Number.POSITIVE_INFINITY;
  }

  #nowInForce(): void {
    if (this.#isInForce) return;
    this.#noneUntil = Number.POSITIVE_INFINITY;
    this.#onInForce();
  }

  /** The key that the text proves: known, not revoked, with the right secret. */
  verify(text: string): Key | undefined | Promise<Key | undefined> {
    const sent = parseKey(text);
    if (sent === undefined) return undefined;
    const known = this.#known.get(sent.id) ?? this.#unknown.get(sent.id);
    if (known !== undefined && this.#isFresh(known.readAt)) {
      return proven(known.stored, sent.secret);
    }
    const isGuess = known?.stored === undefined && this.#isGuessed();
    const found = isGuess ? this.#readListed(sent.id) : this.#read(sent.id, known);
    return found.then((read) => proven(read?.stored, sent.secret));
  }

  /** What was read ahead of now is from before the clock was set back. */
  #isFresh(readAt: number): boolean {
    return Math.abs(this.#clock.now() - readAt) < limits.keyFreshMs;
  }

  /** Whether unknown keys are tried so often that looking up each would cost too much. */
  #isGuessed(): boolean {
    if (!this.#isFresh(this.#misses.sinceMs)) {
      this.#misses = { count: 0, sinceMs: this.#clock.now() };
    }
    return this.#misses.count >= unknownKeysReadMax;
  }

  /**
   * One read of all keys serves every guess of the next seconds, and still admits the holder of a
   * key that this server has not met.
   */
  async #readListed(id: string): Promise<Known | undefined> {
    if (this.#listing === undefined || !this.#isFresh(this.#listing.readAt)) {
      this.#listing = { ids: this.#listIds(), readAt: this.#clock.now() };
    }
    const { ids } = this.#listing;
    const isThere = (
      await ids.catch((error) => {
        this.#listing = undefined;
        throw error;
      })
    ).has(id);
    return isThere ? this.#read(id, undefined) : undefined;
  }

  async #listIds(): Promise<Set<string>> {
    const ids = new Set<string>();
    for (let page = await this.list({ limit: limits.listLimitMax }); ; ) {
      for (const { id } of page.items) ids.add(id);
      if (page.cursor === undefined) return ids;
      page = await this.list({ limit: limits.listLimitMax, cursor: page.cursor });
    }
  }

  #read(id: string, before: Known | undefined): Promise<Known> {
    let reading = this.#reading.get(id);
    if (reading === undefined) {
      reading = tellFaults(async () => {
        const document = await this.#store.getDocument({ kind, id }).catch((error) => {
          // Nothing is done without the store; but its absence must not hide what still can be
          // seen.
          if (error instanceof StoreFault && before !== undefined) return "away" as const;
          throw error;
        });
        if (document === "away") return before!;
        return this.#keep(id, document && decode(id, document.body));
      }).finally(() => this.#reading.delete(id));
      this.#reading.set(id, reading);
    }
    return reading;
  }

  #keep(id: string, stored: StoredKey | undefined): Known {
    const known = { stored, readAt: this.#clock.now() };
    if (stored === undefined) this.#misses.count += 1;
    const map = stored === undefined ? this.#unknown : this.#known;
    map.set(id, known);
    return known;
  }

  /** The only place that returns the text of the key. */
  async create(request: NewKey): Promise<{ readonly key: Key; readonly text: string }> {
    return tellFaults(async () => {
      if (!request.scopes.includes("admin") && !(await this.exist())) {
        const message =
          "The first key must have the scope admin: from then on every caller needs a key, and " +
          "nobody could make another.";
        throw new OrchyError("INVALID_STATE", message);
      }
      // Never from a source of ids, which may be predictable.
      const id = randomBytes(keyIdBytes).toString("hex");
      const secret = randomBytes(keySecretBytes).toString("hex");
      const key: Key = { ...request, id, createdAt: this.#clock.now() };
      const stored = { key, digest: digestOf(secret) };
      const body = encode(stored);
      const answer = await this.#store.putDocument({ kind, id, body, expectedVersion: 0 });
      if (answer.outcome !== "saved") throw new Error(`the random key id ${id} is taken`);
      this.#nowInForce();
      this.#keep(id, stored);
      return { key, text: formatKey(id, secret) };
    });
  }

  /** In order of id, the revoked ones among them. */
  async list(page: { readonly limit: number; readonly cursor?: string }): Promise<Page<Key>> {
    const request = { kind, limit: page.limit, after: page.cursor };
    const { documents, after } = await tellFaults(() => documentPage(this.#store, request));
    const items = documents.map(({ id, body }) => decode(id, body).key);
    return { items, ...defined({ cursor: after }) };
  }

  /** A repeat changes nothing. */
  revoke(id: string): Promise<Key> {
    return tellFaults(async () => {
      for (let tries = 0; tries < limits.commitConflictRetriesMax; tries++) {
        const document = await this.#store.getDocument({ kind, id });
        if (document === undefined) throw new OrchyError("NOT_FOUND", `There is no key ${id}.`);
        const { key, digest } = decode(id, document.body);
        if (key.revokedAt !== undefined) return this.#keep(id, { key, digest }).stored!.key;
        const revoked = { key: { ...key, revokedAt: this.#clock.now() }, digest };
        const expectedVersion = document.version;
        const body = encode(revoked);
        const answer = await this.#store.putDocument({ kind, id, body, expectedVersion });
        if (answer.outcome === "saved") return this.#keep(id, revoked).stored!.key;
      }
      throw new OrchyError("UNAVAILABLE", "Too many concurrent changes of this key; try again.");
    });
  }
}

/** A secret of 256 random bits needs no salt and no slow hash: it cannot be guessed. */
function digestOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

/** Digests are compared, in constant time, and before anything else is looked at. */
function proven(stored: StoredKey | undefined, secret: string): Key | undefined {
  const isRight = timingSafeEqual(digestOf(secret), stored?.digest ?? noDigest);
  return isRight && stored?.key.revokedAt === undefined ? stored?.key : undefined;
}

function encode({ key, digest }: StoredKey): string {
  const { id: _id, ...rest } = key;
  return JSON.stringify({ ...rest, digest: digest.toString("hex") });
}

function decode(id: string, body: string): StoredKey {
  const { digest, ...rest } = JSON.parse(body) as Omit<Key, "id"> & { readonly digest: string };
  return { key: { ...rest, id }, digest: Buffer.from(digest, "hex") };
}
