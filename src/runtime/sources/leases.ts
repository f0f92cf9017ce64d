/**
 * Which server reads which source: a document for each source that is held, renewed with every look of
 * its holder, whose status it shows. Two holders at the same moment would do no harm: each message
 * counts once all the same.
 */
import type { Clock } from "../../base/clock.ts";
import type { SourceStatus } from "../../model/source.ts";
import type { Store } from "../../store/store.ts";
import type { ServerView } from "../shared/orchestrator.ts";

const kind = "source-lease";

interface Lease {
  readonly serverId: string;
  readonly server: string;
  readonly until: number;
  readonly status: SourceStatus;
}

interface LeasesOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly leaseMs: number;
}

export class SourceLeases {
  readonly #options: LeasesOptions;

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  /** Of one source; undefined: nobody holds it. */
  async of(source: string): Promise<Lease | undefined> {
    const document = await this.#options.store.getDocument({ kind, id: source });
    const lease = document && (JSON.parse(document.body) as Lease);
    return lease && this.#isHeld(lease) ? lease : undefined;
  }

  #isHeld({ until }: Lease): boolean {
    return until > this.#options.clock.now();
  }

  /** Takes or renews it; false: another server holds it. */
  async take(source: string, self: ServerView, status: SourceStatus): Promise<boolean> {
    const { store, clock, leaseMs } = this.#options;
    const document = await store.getDocument({ kind, id: source });
    // On a store that is not shared, others are those that have held it before this process.
    if (document !== undefined && store.traits.shared) {
      const lease = JSON.parse(document.body) as Lease;
      if (lease.serverId !== self.id && this.#isHeld(lease)) return false;
    }
    const lease: Lease = {
      serverId: self.id,
      server: self.name,
      until: clock.now() + leaseMs,
      status,
    };
    const answer = await store.putDocument({
      kind,
      id: source,
      body: JSON.stringify(lease),
      expectedVersion: document?.version ?? 0,
    });
    return answer.outcome === "saved";
  }

  /** Others need not wait until it lapses. */
  async release(source: string): Promise<void> {
    await this.#options.store.deleteDocument({ kind, id: source });
  }
}
