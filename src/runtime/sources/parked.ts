/** Dead letters of sources that name no place for them: kept as documents, up to a bound. */
import type { Clock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { OrchyError } from "../../base/errors.ts";
import { hashId } from "../../base/hash.ts";
import { limits } from "../../base/limits.ts";
import type { IncomingMessage } from "../../brokers/message.ts";
import { cutMessage } from "../../language/data/cut.ts";
import type { ParkedMessage } from "../../model/source.ts";
import type { Store } from "../../store/store.ts";
import { documentPage } from "../shared/document-page.ts";
import type { SourcePage } from "../shared/source-service.ts";

const kind = "source-parked";
/** Documents that are read at once to count them: each may be of a megabyte. */
const pageSize = 10;
/** A count that has reached the bound holds for so long. */
const countedMs = 30_000;

export interface DeadLetter {
  readonly message: IncomingMessage;
  readonly reason: string;
  readonly tries: number;
}

interface Count {
  readonly countedAt: number;
  count: number;
}

export class ParkedMessages {
  readonly #store: Store;
  readonly #clock: Clock;
  /** How many there are by source, those that others have deleted meanwhile among them. */
  readonly #counts = new Map<string, Promise<Count>>();

  constructor({ store, clock }: { readonly store: Store; readonly clock: Clock }) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Of one that is parked already nothing changes. Throws TOO_MANY. */
  async add(source: string, { message, reason, tries }: DeadLetter): Promise<void> {
    const counted = await this.#countWithRoom(source);
    const { id: messageId, key, body: text, headers, sentAt } = message;
    const id = hashId(messageId, `${sentAt}`);
    const value = text.length <= limits.sourceMessageBytesMax ? text : undefined;
    const parked: ParkedMessage = {
      id,
      reason: cutMessage(reason),
      tries,
      parkedAt: this.#clock.now(),
      message: { id: messageId, headers, sentAt, ...defined({ key, value }) },
    };
    const body = JSON.stringify(parked);
    const place = { kind, id: `${source}/${id}` };
    const answer = await this.#store.putDocument({ ...place, body, expectedVersion: 0 });
    if (answer.outcome === "saved") counted.count += 1;
  }

  /** A count is made anew when it has failed, and now and then when it has reached the bound. */
  async #countWithRoom(source: string): Promise<Count> {
    const { parkedMessagesMax } = limits;
    const before = this.#counts.get(source);
    const known = await before?.catch(() => undefined);
    const isFull = known !== undefined && known.count >= parkedMessagesMax;
    const isOld = isFull && this.#clock.now() - known.countedAt >= countedMs;
    if ((known === undefined || isOld) && this.#counts.get(source) === before) {
      this.#counts.set(source, this.#count(source));
    }
    const counted = await this.#counts.get(source)!;
    if (counted.count < parkedMessagesMax) return counted;
    const message =
      `${parkedMessagesMax} messages of the source ${source} are parked, and no more are: ` +
      "read and delete some, or give the source a deadLetter.";
    throw new OrchyError("TOO_MANY", message);
  }

  async #count(source: string): Promise<Count> {
    let count = 0;
    for await (const ids of this.#pages(source)) count += ids.length;
    return { countedAt: this.#clock.now(), count };
  }

  async *#pages(source: string): AsyncGenerator<readonly string[]> {
    for (let after: string | undefined; ; ) {
      const request = { kind, prefix: `${source}/`, limit: pageSize, ...defined({ after }) };
      const documents = await this.#store.listDocuments(request);
      yield documents.map(({ id }) => id);
      if (documents.length < pageSize) return;
      after = documents.at(-1)!.id;
    }
  }

  /** In no order that means anything. */
  async page(
    source: string,
    { limit, cursor }: { limit: number; cursor?: string },
  ): Promise<SourcePage<ParkedMessage>> {
    const prefix = `${source}/`;
    const from = cursor === undefined ? undefined : prefix + cursor;
    const request = { kind, prefix, limit, after: from };
    const { documents, after } = await documentPage(this.#store, request);
    const items = documents.map(({ body }): ParkedMessage => JSON.parse(body));
    return { items, ...defined({ cursor: after?.slice(prefix.length) }) };
  }

  async delete(source: string, id: string): Promise<void> {
    if (await this.#store.deleteDocument({ kind, id: `${source}/${id}` })) {
      this.#counts.delete(source);
      return;
    }
    const message = `The source ${source} has no parked message ${id}.`;
    throw new OrchyError("NOT_FOUND", message);
  }

  async deleteAll(source: string): Promise<void> {
    for await (const ids of this.#pages(source)) {
      for (const id of ids) await this.#store.deleteDocument({ kind, id });
    }
    this.#counts.delete(source);
  }
}
