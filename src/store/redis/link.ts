/**
 * The connection to Redis, and the calls of its functions through it. Nothing is queued while it is
 * down and nothing is sent twice by itself: what was certainly not applied is tried again here, a
 * bounded number of times; what was sent without an answer has an unknown outcome.
 */

import { Cluster, Command, Redis, type RedisOptions } from "ioredis";
import type { Clock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import type { ClientTls } from "../../config/tls.ts";
import { StoreFault } from "../store.ts";
import type { RedisAddress } from "./address.ts";
import { faultOf, isFunctionMissing } from "./faults.ts";
import { type Operation, type OperationName, readLibrary } from "./library.ts";
import { type Argument, encodeCommand, type Written } from "./resp.ts";

/** A call that is not answered by then has an unknown outcome. */
const commandTimeoutMs = 5_000;
const connectTimeoutMs = 3_000;
/** A connection whose other end does not take part in its closing is closed all the same. */
const disconnectTimeoutMs = 500;
/** A start that has no connection by then fails. */
const startMs = 10_000;
/** Pauses before what was certainly not applied is tried again. */
const retryPausesMs = [10, 40, 100, 250, 500, 1_000];
/** What is sent with a moment is refused when that is older than a second. */
const timedPausesMs = retryPausesMs.slice(0, -1);
const reconnectMsMax = 1_000;
/** Of a client, and of the nodes of a cluster. */
const connectionErrors = ["error", "node error"] as const;

/** What follows on the keys. */
interface Rest {
  readonly args: readonly Argument[];
  readonly written: readonly Written[];
}

/**
 * A call of a function. The client is shown its keys only, by which it finds the node: it would go
 * through all arguments several times.
 */
class FunctionCommand extends Command {
  /** Whether it was ever written to a connection. */
  sent = false;
  readonly #rest: Rest;
  /**
   * The client publishes each command on a diagnostics channel, with its arguments as text; on Bun
   * also without a listener. That cost more than the rest of sending.
   */
  override isTraced = true;

  /** `called`: the name of a function for fcall, the text of a script for eval. */
  constructor(name: "fcall" | "eval", called: string, keys: readonly string[], rest: Rest) {
    super(name, [called, `${keys.length}`, ...keys], { replyEncoding: "utf8" });
    this.#rest = rest;
  }

  override toWritable(): Buffer {
    this.sent = true;
    const { args, written } = this.#rest;
    return encodeCommand(this.name, [...(this.args as readonly Argument[]), ...args], written);
  }
}

function connectionOptions(address: RedisAddress, tls: ClientTls) {
  const { username, password } = address;
  return {
    ...defined({ username, password }),
    ...(address.tls && { tls }),
    protocol: 2,
    connectTimeout: connectTimeoutMs,
    commandTimeout: commandTimeoutMs,
    // Connections to a machine that has vanished stay open: a silent one is left.
    socketTimeout: commandTimeoutMs,
    disconnectTimeout: disconnectTimeoutMs,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // What was sent is given up as soon as its connection closes, not at its timeout.
    maxRetriesPerRequest: 0,
    retryStrategy: (times: number) => Math.min(times * 50, reconnectMsMax),
    // The connection leads to what was a master before a failover.
    reconnectOnError: (error: Error) => error.message.startsWith("READONLY"),
  } satisfies RedisOptions;
}

function makeClient(address: RedisAddress, tls: ClientTls): Redis | Cluster {
  const options = connectionOptions(address, tls);
  const { retryStrategy: _, enableOfflineQueue: __, ...nodeOptions } = options;
  const [{ host, port }] = address.nodes;
  switch (address.kind) {
    case "single":
      return new Redis({ ...options, host, port, lazyConnect: true });
    case "sentinel": {
      const { username, password } = address;
      return new Redis({
        ...options,
        sentinels: [...address.nodes],
        name: address.master as string,
        // One that hangs is passed over.
        sentinelCommandTimeout: connectTimeoutMs,
        ...defined({ sentinelUsername: username, sentinelPassword: password }),
        ...(address.tls && { enableTLSForSentinelMode: true, sentinelTLS: tls }),
        lazyConnect: true,
      });
    }
    case "cluster":
      return new Cluster([...address.nodes], {
        redisOptions: nodeOptions,
        // Names stay names: certificates are made out to them.
        dnsLookup: (host, callback) => callback(null, host),
        enableOfflineQueue: false,
        retryDelayOnFailover: 0,
        shardedSubscribers: true,
        lazyConnect: true,
        slotsRefreshInterval: 5_000,
        clusterRetryStrategy: (times) => Math.min(times * 50, reconnectMsMax),
      });
  }
}

export class RedisLink {
  readonly client: Redis | Cluster;
  readonly isCluster: boolean;
  readonly clock: Clock;
  readonly #library = readLibrary();
  #loading: Promise<Error | undefined> | undefined;
  /** Called when a function found the caller's clock wrong. */
  onSkewed: () => void = () => {};
  /** Why the connection is down; undefined while it is up. */
  connectionError: string | undefined;
  #isClosed = false;

  constructor(address: RedisAddress, clock: Clock, tls: ClientTls = {}) {
    this.client = makeClient(address, tls);
    this.isCluster = address.kind === "cluster";
    this.clock = clock;
    const remember = ({ message }: Error) => {
      this.connectionError = message;
    };
    for (const event of connectionErrors) this.client.on(event, remember);
    this.client.on("ready", () => {
      this.connectionError = undefined;
    });
  }

  /** The client goes on trying for ever; a start does not. */
  async connect(): Promise<void> {
    // A cluster that is not whole yet is tried again, and the promise of the first try forgotten.
    const ready = new Promise<void>((resolve) => this.client.once("ready", resolve));
    const { promise: tooLong, reject } = Promise.withResolvers<never>();
    const cancel = this.clock.after(startMs, () =>
      reject(new Error(`no reply within ${startMs / 1_000} seconds`)),
    );
    try {
      await Promise.race([this.client.connect(), ready, tooLong]);
    } catch (error) {
      throw this.connectionError === undefined ? error : new Error(this.connectionError);
    } finally {
      cancel();
    }
  }

  /** Connections to all that take writes. */
  masters(): readonly Redis[] {
    return this.client instanceof Cluster ? this.client.nodes("master") : [this.client];
  }

  /** `written` follows on `args`. */
  async call(
    name: OperationName,
    keys: readonly string[],
    args: readonly Argument[],
    written: readonly Written[] = [],
  ) {
    const rest = { args, written };
    const operation = this.#library.operations.get(name) as Operation;
    const pausesMs = operation.isTimed ? timedPausesMs : retryPausesMs;
    const madeAt = this.clock.now();
    for (let tries = 0; ; tries++) {
      if (this.#isClosed) throw new StoreFault("not_applied", "The store is closed.");
      const pauseMs = pausesMs[tries];
      const mayRetry = pauseMs !== undefined;
      const answer = await this.#try(operation, keys, rest, { mayRetry, madeAt });
      if (answer !== undefined) return answer.reply;
      await new Promise<void>((resolve) => this.clock.after(pauseMs as number, resolve));
    }
  }

  /** Returns undefined when it is to be tried again. */
  async #try(
    operation: Operation,
    keys: readonly string[],
    rest: Rest,
    { mayRetry, madeAt }: { readonly mayRetry: boolean; readonly madeAt: number },
  ): Promise<{ readonly reply: unknown } | undefined> {
    try {
      return { reply: await this.#run(operation, keys, rest) };
    } catch (failure) {
      const { error, sent } = failure as SendFailure;
      const { fault, passes, skewed } = faultOf(error, sent, {
        tookMs: this.clock.now() - madeAt,
        connection: this.connectionError,
      });
      if (passes && mayRetry) return undefined;
      if (skewed) this.onSkewed();
      throw fault;
    }
  }

  /**
   * A node that has not got the library is given it. One without room refuses it, but runs the same
   * as a script: removals are what makes room.
   */
  async #run(
    { functionName, script }: Operation,
    keys: readonly string[],
    rest: Rest,
  ): Promise<unknown> {
    try {
      return await this.#send("fcall", functionName, keys, rest);
    } catch (failure) {
      if (!isFunctionMissing((failure as SendFailure).error)) throw failure;
    }
    this.#loading ??= this.#loadLibrary();
    const refusal = await this.#loading;
    if (refusal?.message.startsWith("OOM")) return this.#send("eval", script(), keys, rest);
    if (refusal !== undefined) throw new SendFailure(refusal, false);
    return this.#send("fcall", functionName, keys, rest);
  }

  /** Loads the library into all masters, as functions are of a node. Returns a refusal, if any. */
  async #loadLibrary(): Promise<Error | undefined> {
    const { text } = this.#library;
    const loads = this.masters().map((node) => node.call("FUNCTION", "LOAD", text));
    const outcomes = await Promise.allSettled(loads);
    this.#loading = undefined;
    const refusals = outcomes.flatMap((outcome) =>
      outcome.status === "rejected" ? [outcome.reason as Error] : [],
    );
    return refusals.find(({ message }) => !/already exists/.test(message));
  }

  async #send(
    name: "fcall" | "eval",
    called: string,
    keys: readonly string[],
    rest: Rest,
  ): Promise<unknown> {
    const command = new FunctionCommand(name, called, keys, rest);
    try {
      return await this.client.sendCommand(command);
    } catch (error) {
      throw new SendFailure(error as Error, command.sent);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.client.disconnect();
  }
}

class SendFailure {
  readonly error: Error;
  readonly sent: boolean;

  constructor(error: Error, sent: boolean) {
    this.error = error;
    this.sent = sent;
  }
}
