/**
 * Wake-ups: scripts publish the name of a queue on the channel of its partition when it gets its
 * first task, or when a claim left some. A lost one costs a sweep, so nothing is repeated. Notes of
 * servers to each other go over separate channels, which older servers do not hear.
 */
import { Cluster, type Redis } from "ioredis";
import { notesChannel } from "./keys.ts";
import type { RedisLink } from "./link.ts";

export type WakeListener = (partition: number, queue: string) => void;

export class Wakes {
  readonly #link: RedisLink;
  readonly #partitions: ReadonlyMap<string, number>;
  #subscriber: Redis | Cluster | undefined;
  #isClosed = false;

  constructor(link: RedisLink, bases: readonly string[]) {
    this.#link = link;
    this.#partitions = new Map(bases.map((base, partition) => [base, partition]));
  }

  /** `onNote`: what servers send each other by `sendNote`. */
  async listen(listener: WakeListener, onNote: WakeListener = () => {}): Promise<void> {
    const { client } = this.#link;
    // A listening connection can do nothing else; a cluster's client has separate ones for it.
    // A failed subscription of its own after a reconnect would go unhandled, and end the process.
    const options = { enableOfflineQueue: true, autoResubscribe: false };
    const subscriber = client instanceof Cluster ? client : client.duplicate(options);
    this.#subscriber = subscriber;
    subscriber.on("error", () => {});
    const listeners = new Map<string, (text: string) => void>();
    for (const [base, partition] of this.#partitions) {
      listeners.set(base, (queue) => listener(partition, queue));
      listeners.set(notesChannel(base), (text) => onNote(partition, text));
    }
    subscriber.on("smessage", (channel: string, text: string) => listeners.get(channel)?.(text));
    const channels = [...listeners.keys()];
    const subscribe = () =>
      Promise.allSettled(channels.map((channel) => subscriber.ssubscribe(channel)));
    await subscribe();
    if (subscriber === client) return;
    subscriber.on("ready", () => void subscribe());
    // What cut off the other connection may have left this one hanging: it sends nothing, and so it
    // would wait for ever. One that is connecting is left alone: disturbing it might end it.
    client.on("ready", () => {
      if (subscriber.status === "ready") subscriber.disconnect(true);
      else if (subscriber.status === "end" && !this.#isClosed) subscriber.connect().catch(() => {});
    });
  }

  async sendNote(base: string, text: string): Promise<void> {
    await this.#link.client.spublish(notesChannel(base), text);
  }

  close(): void {
    this.#isClosed = true;
    if (this.#subscriber !== this.#link.client) this.#subscriber?.disconnect();
  }
}
