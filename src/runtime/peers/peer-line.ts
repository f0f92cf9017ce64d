/**
 * Messages between the servers of one store, signed with a secret that is in the store: a server
 * believes those who can read it. A message is a hint; what is lost, late or refused costs a sweep.
 */
import { timingSafeEqual } from "node:crypto";
import { BoundedMap } from "../../base/bounded-map.ts";
import type { Clock } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import type { Logger } from "../../telemetry/log.ts";
import { logFault } from "../shared/faults.ts";
import type { ServerView } from "../shared/orchestrator.ts";
import type { StoreSecret } from "../shared/store-secret.ts";

/** How long what is to be sent is gathered, at least. */
const gatherMs = 5;
/** Time for one message on its way. */
const sendMsMax = 2_000;
/** Further ones are lost while a peer takes none. */
const waitingMax = 10_000;
/** Signatures of messages that were heard. */
const heardMax = 10_000;
const reportMs = 60_000;

/** Sends a body to the server at `host:port`; resolves with the status of the response. */
export type SendToPeer = (
  address: string,
  message: { readonly body: string; readonly signature: string; readonly withinMs: number },
) => Promise<number>;

type Listener = (partition: number, text: string) => void;

/** [partition, queue], and [partition, text of a note]. */
type Said = readonly [partition: number, text: string];

interface Message {
  readonly at: number;
  readonly wakes: readonly Said[];
  readonly notes: readonly Said[];
}

/** What is to be sent to one peer. */
interface Peer {
  readonly address: string;
  readonly wakes: Map<string, Said>;
  notes: Said[];
  isBusy: boolean;
  isLost: boolean;
}

interface Options {
  readonly clock: Clock;
  readonly log: Logger;
  readonly secret: Pick<StoreSecret, "sign">;
  readonly send: SendToPeer;
}

/** `refused`: it is not from a server of this store, or of another time; `repeated`: it was heard. */
type Heard = "heard" | "repeated" | "refused";

export class PeerLine {
  readonly #options: Options;
  #peers = new Map<string, Peer>();
  readonly #heard = new BoundedMap<string, true>(heardMax);
  readonly #reportedAt = new Map<string, number>();
  #onWake: Listener = () => {};
  #onNote: Listener = () => {};

  constructor(options: Options) {
    this.#options = options;
  }

  listen(onWake: Listener, onNote: Listener = () => {}): void {
    this.#onWake = onWake;
    this.#onNote = onNote;
  }

  /** All live servers, at each beat. */
  know(self: string, servers: readonly Pick<ServerView, "id" | "httpAddress">[]): void {
    const known = this.#peers;
    const others = servers.filter(({ id }) => id !== self);
    this.#peers = new Map(
      others.map(({ httpAddress: address }) => {
        const idle = { isBusy: false, isLost: false };
        return [address, known.get(address) ?? { address, wakes: new Map(), notes: [], ...idle }];
      }),
    );
  }

  wake(partition: number, queue: string): void {
    for (const peer of this.#peers.values()) {
      if (peer.wakes.size < waitingMax) peer.wakes.set(`${partition} ${queue}`, [partition, queue]);
      this.#await(peer);
    }
  }

  note(partition: number, text: string): void {
    for (const peer of this.#peers.values()) {
      if (peer.notes.length < waitingMax) peer.notes.push([partition, text]);
      this.#await(peer);
    }
  }

  /** A message as it came in. */
  async hear(body: string, signature: string): Promise<Heard> {
    const { clock } = this.#options;
    const signed = Buffer.from(await this.#sign(body));
    const given = Buffer.from(signature);
    if (given.length !== signed.length || !timingSafeEqual(given, signed)) {
      this.#report("a message in the name of a server of this store has a wrong signature");
      return "refused";
    }
    if (this.#heard.has(signature)) return "repeated";
    const { at, wakes, notes } = JSON.parse(body) as Message;
    const behindMs = Math.round(clock.now() - at);
    if (Math.abs(behindMs) > limits.peerWindowMs) {
      const message =
        "a message of another server is too old, or its clock and this one are too far apart";
      this.#report(message, { behindMs });
      return "refused";
    }
    this.#heard.set(signature, true);
    for (const [partition, queue] of wakes) this.#onWake(partition, queue);
    for (const [partition, text] of notes) this.#onNote(partition, text);
    return "heard";
  }

  #report(message: string, fields: { readonly behindMs?: number } = {}): void {
    const { clock, log } = this.#options;
    const now = clock.now();
    if (now - (this.#reportedAt.get(message) ?? Number.NEGATIVE_INFINITY) < reportMs) return;
    this.#reportedAt.set(message, now);
    log.warn(`${message}: it was refused`, fields);
  }

  #await(peer: Peer): void {
    if (peer.isBusy) return;
    peer.isBusy = true;
    this.#options.clock.after(gatherMs, () => void this.#flush(peer));
  }

  async #flush(peer: Peer): Promise<void> {
    const { clock, log } = this.#options;
    const message = { at: clock.now(), wakes: [...peer.wakes.values()], notes: peer.notes };
    peer.wakes.clear();
    peer.notes = [];
    try {
      for (const body of bodiesOf(message)) await this.#send(peer.address, body);
      if (peer.isLost) log.info("another server can be reached again", { address: peer.address });
      peer.isLost = false;
    } catch (error) {
      const what =
        "another server could not be reached at its address: it learns of tasks later; see --advertise-http";
      if (!peer.isLost) logFault(log, what, error, { address: peer.address });
      peer.isLost = true;
    }
    peer.isBusy = false;
    if (peer.wakes.size + peer.notes.length > 0 && this.#peers.has(peer.address)) this.#await(peer);
  }

  async #send(address: string, body: string): Promise<void> {
    const signature = await this.#sign(body);
    const status = await this.#options.send(address, { body, signature, withinMs: sendMsMax });
    if (status >= 300) throw new Error(`it responded with status ${status}`);
  }

  async #sign(body: string): Promise<string> {
    return (await this.#options.secret.sign(body)).toString("base64url");
  }
}

/** As many as it takes, each within limits.peerMessageBytesMax. */
function bodiesOf({ at, wakes, notes }: Message): string[] {
  const bodies: string[] = [];
  let part = { at, wakes: [] as Said[], notes: [] as Said[] };
  let bytes = 0;
  const add = (kind: "wakes" | "notes", one: Said) => {
    const more = Buffer.byteLength(JSON.stringify(one)) + 1;
    if (bytes > 0 && bytes + more > limits.peerMessageBytesMax - 100) {
      bodies.push(JSON.stringify(part));
      part = { at, wakes: [], notes: [] };
      bytes = 0;
    }
    part[kind].push(one);
    bytes += more;
  };
  for (const wake of wakes) add("wakes", wake);
  for (const note of notes) add("notes", note);
  return [...bodies, JSON.stringify(part)];
}
