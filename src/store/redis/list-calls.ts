/**
 * Reads of lists that go out as one script: those of one turn of the event loop that want the same
 * of several partitions. A call for each partition would cost several times as much,
 * on both sides.
 */
import { defined } from "../../base/defined.ts";
import type { ListAnswer, ListRequest } from "../store.ts";
import { afterStart, callKeys, listMember, placeOfMember } from "./keys.ts";
import { type Packable, pack } from "./pack.ts";
import { type Reply, readListing } from "./replies.ts";
import type { Argument } from "./resp.ts";

interface Waiting {
  readonly base: string;
  readonly after: string;
  readonly resolve: (answer: ListAnswer) => void;
  readonly reject: (error: unknown) => void;
}

type Call = (keys: readonly string[], args: readonly Argument[]) => Promise<unknown>;

export class ListCalls {
  readonly #call: Call;
  /** Cluster: one call touches one partition only. */
  readonly #onePartition: boolean;
  /** By what is wanted. */
  #waiting = new Map<string, { readonly query: Buffer; readonly calls: Waiting[] }>();

  constructor(options: { readonly call: Call; readonly onePartition: boolean }) {
    this.#call = options.call;
    this.#onePartition = options.onePartition;
  }

  list(request: ListRequest, base: string): Promise<ListAnswer> {
    const { startedAfter, after, limit, lookMax = 0 } = request;
    const { workflow = false, status = false, correlationId = false, parent = false } = request;
    const query = pack([
      ...([workflow, status, correlationId, parent] as Packable[]),
      ...[startedAfter === undefined ? "" : afterStart(startedAfter), limit, lookMax],
    ]);
    const name = `${this.#onePartition ? base : ""} ${query.toString("latin1")}`;
    return new Promise((resolve, reject) => {
      if (this.#waiting.size === 0) setImmediate(() => this.#flush());
      const known = this.#waiting.get(name) ?? { query, calls: [] };
      this.#waiting.set(name, known);
      const place = after === undefined ? "" : listMember(after);
      known.calls.push({ base, after: place, resolve, reject });
    });
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = new Map();
    for (const { query, calls } of waiting.values()) void this.#send(query, calls);
  }

  async #send(query: Buffer, calls: readonly Waiting[]): Promise<void> {
    const bases = calls.map(({ base }) => base);
    const keys = this.#onePartition ? callKeys(bases[0] as string) : bases;
    try {
      const reply = await this.#call(keys, [query, ...calls.map(({ after }) => after)]);
      for (const [i, { resolve }] of calls.entries()) resolve(readAnswer((reply as Reply[])[i]!));
    } catch (error) {
      for (const { reject } of calls) reject(error);
    }
  }
}

function readAnswer(reply: Reply): ListAnswer {
  const [rows, looked, reached] = reply as readonly [readonly Reply[], number, string | null];
  const items = rows.map(readListing);
  return {
    items,
    looked,
    ...defined({ reached: reached === null ? undefined : placeOfMember(reached) }),
  };
}
