/**
 * Notes: short texts that the servers of one store send each other, each of a kind that one part of
 * the runtime listens to. A note may be lost, and servers of format 2 hear none, so that nothing
 * may depend on them; an unknown kind is passed over.
 */
import type { Ids } from "../../base/clock.ts";
import type { Store } from "../../store/store.ts";

/** Ids, or other short texts, in one note between servers. */
export const textsPerNote = 100;

type Listener = (texts: readonly string[]) => void;

const separator = "\0";

interface NotesOptions {
  readonly store: Store;
  readonly ids: Ids;
  /** Whether other servers are live. */
  readonly hasPeers: () => boolean;
}

export class Notes {
  readonly #options: NotesOptions;
  /** This server's own notes come back, and are passed over. */
  readonly #self: string;
  readonly #listeners = new Map<string, Listener>();

  constructor(options: NotesOptions) {
    this.#options = options;
    this.#self = options.ids.nonce();
  }

  /** False: no other server would receive a note. */
  get areHeard(): boolean {
    return this.#options.store.sendNote !== undefined && this.#options.hasPeers();
  }

  /** What other servers send under this kind. */
  on(kind: string, listener: Listener): void {
    this.#listeners.set(kind, listener);
  }

  /** A note of any server. */
  heard(text: string): void {
    const [kind = "", sender, ...texts] = text.split(separator);
    if (sender !== this.#self) this.#listeners.get(kind)?.(texts);
  }

  /**
   * In as many notes as it takes; resolves when they are sent, or lost. A text with a NUL, which
   * names that callers make up may hold, is left out.
   */
  async send(kind: string, partition: number, all: readonly string[]): Promise<void> {
    const { store } = this.#options;
    const texts = all.filter((text) => !text.includes(separator));
    const sending: (Promise<void> | undefined)[] = [];
    for (let first = 0; first < texts.length; first += textsPerNote) {
      const some = texts.slice(first, first + textsPerNote);
      sending.push(store.sendNote?.(partition, [kind, this.#self, ...some].join(separator)));
    }
    await Promise.allSettled(sending);
  }
}
