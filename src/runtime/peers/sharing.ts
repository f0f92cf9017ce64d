/**
 * Which server looks after which partitions, by rendezvous hashing: each picks the live server with
 * the highest score for it, so one that comes or goes moves only its own share. A preference, not
 * an owner: any server may claim what is due anywhere, and the store decides which one got it.
 */

/** The server that a partition prefers; undefined when none is live. */
export function preferredServer(partition: number, servers: readonly string[]): string | undefined {
  let best: string | undefined;
  let highest = -1;
  for (const server of servers) {
    const score = scoreOf(partition, server);
    const isHigher = score > highest || (score === highest && best !== undefined && server < best);
    if (!isHigher) continue;
    best = server;
    highest = score;
  }
  return best;
}

/** FNV-1a over both, then murmur3's finaliser: neighbouring numbers must not score alike. */
function scoreOf(partition: number, server: string): number {
  let hash = 0x811c9dc5 ^ partition;
  for (let i = 0; i < server.length; i++) {
    hash = Math.imul(hash ^ server.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** What this server prefers, as the list of live servers changes. */
export class Sharing {
  readonly #partitions: number;
  readonly #onGained: (partition: number) => void;
  #preferred: ReadonlySet<number> = new Set();
  #hasPeers = false;
  #peers = 0;

  /** `onGained`: this server is to look after one more partition. */
  constructor(partitions: number, onGained: (partition: number) => void) {
    this.#partitions = partitions;
    this.#onGained = onGained;
  }

  prefers(partition: number): boolean {
    return this.#preferred.has(partition);
  }

  /** Whether other servers have been live: one that misses a beat may well go on. */
  get hasPeers(): boolean {
    return this.#hasPeers;
  }

  /** How many other servers are live. */
  get peers(): number {
    return this.#peers;
  }

  update(self: string, servers: readonly string[]): void {
    this.#peers = servers.filter((server) => server !== self).length;
    this.#hasPeers ||= servers.some((server) => server !== self);
    const before = this.#preferred;
    const preferred = new Set<number>();
    for (let partition = 0; partition < this.#partitions; partition++) {
      if (preferredServer(partition, servers) === self) preferred.add(partition);
    }
    this.#preferred = preferred;
    for (const partition of preferred) if (!before.has(partition)) this.#onGained(partition);
  }
}
