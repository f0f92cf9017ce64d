/** A secret that the servers of one store share: a document, which the first one that needs it makes. */
import { createHmac } from "node:crypto";
import type { Ids } from "../../base/clock.ts";
import type { Store } from "../../store/store.ts";

const kind = "secret";

export class StoreSecret {
  readonly #store: Pick<Store, "getDocument" | "putDocument">;
  readonly #ids: Ids;
  readonly #id: string;
  #secret: Promise<string> | undefined;

  constructor(options: {
    readonly store: Pick<Store, "getDocument" | "putDocument">;
    readonly ids: Ids;
    readonly id: string;
  }) {
    this.#store = options.store;
    this.#ids = options.ids;
    this.#id = options.id;
  }

  /** What only those who can read the store can make of a text. */
  async sign(text: string): Promise<Buffer> {
    return createHmac("sha256", await this.#read())
      .update(text)
      .digest();
  }

  /** Read once; again after a fault. */
  #read(): Promise<string> {
    this.#secret ??= this.#readOrMake().catch((error) => {
      this.#secret = undefined;
      throw error;
    });
    return this.#secret;
  }

  async #readOrMake(): Promise<string> {
    const place = { kind, id: this.#id };
    const found = await this.#store.getDocument(place);
    if (found !== undefined) return found.body;
    // 192 random bits.
    const body = JSON.stringify(`${this.#ids.nonce()}${this.#ids.nonce()}`);
    const saved = await this.#store.putDocument({ ...place, body, expectedVersion: 0 });
    if (saved.outcome === "saved") return body;
    return (await this.#store.getDocument(place))!.body;
  }
}
