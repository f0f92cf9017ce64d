/**
 * A worker: takes tasks of the actions that it is given handlers for, and gives their results back.
 * It outlives its servers: it connects again, registers its actions again, repeats unanswered
 * calls.
 */

import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { create } from "@bufbuild/protobuf";
import { inTime } from "../base/amount.ts";
import { systemClock, waitOf } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import {
  type ActionDefinition,
  ActionDefinitionSchema,
  RegisterActionsRequestSchema,
  WorkerService,
} from "../gen/orchy/v1/worker_pb.ts";
import { messageOf } from "./errors.ts";
import { FailureLog } from "./failure-log.ts";
import { Heartbeats } from "./heartbeats.ts";
import { Link, type Logger, type Session } from "./link.ts";
import { Outbox } from "./outbox.ts";
import { Pump } from "./pump.ts";
import { Slots } from "./slots.ts";
import { type Handler, Tasks } from "./tasks.ts";
import type { TlsOptions, TransportKind } from "./transport.ts";

/** How a worker reaches its servers, and what it is called there. */
export interface WorkerOptions {
  /** Address of a server's HTTP port, or of several: the next one is used when one fails. */
  readonly server: string | readonly string[];
  /** Queues to take tasks from. Default: the one named "default". */
  readonly queues?: readonly string[];
  /** How many tasks of one action may run here at once, unless the action says. Default 100. */
  readonly concurrency?: number;
  /** Polls that wait at the server side by side, 1 to 8. Default 2. */
  readonly pollers?: number;
  /** Names this process in lists and attempts. Default: host, process id and a random end. */
  readonly workerId?: string;
  readonly transport?: TransportKind;
  /** A key of the server with the scope `worker`. Default: the environment variable ORCHY_KEY. */
  readonly key?: string;
  /** Certificates for `https:` addresses beyond those that the runtime trusts. */
  readonly tls?: TlsOptions;
  /** Default: the console. A handler that throws leaves a line with its stack. */
  readonly logger?: Logger;
  /** Adds the parameters of the task, and `details` of the error, to these lines. Default false. */
  readonly logPayloads?: boolean;
}

/** How tasks of one action are run: how many at a time, and the rules that are registered. */
export interface ActionOptions {
  /** How many tasks of this action may run in this worker at once. */
  readonly concurrency?: number;
  /** Retries after the first attempt. Default 3. */
  readonly retryCount?: number;
  readonly retryAfterSeconds?: number;
  readonly retryPolicy?: "FIXED" | "BACKOFF" | "EXPONENTIAL";
  readonly maxRetryAfterSeconds?: number;
  /** Share of the delay between attempts that is random, 0 to 1. */
  readonly jitter?: number;
  /** Longest attempt. Default 300. */
  readonly timeoutSeconds?: number;
  /** Longest silence of a worker before its attempt counts as lost. Default 30. */
  readonly heartbeatSeconds?: number;
  readonly queueTimeoutSeconds?: number;
  readonly totalTimeoutSeconds?: number;
  /** Error codes that end the retries. */
  readonly nonRetryable?: readonly string[];
}

/** How a stop waits for running tasks, in milliseconds. */
export interface StopOptions {
  /** How long running handlers may go on; then their tasks are given back. Default 10 s. */
  readonly drainMs?: number;
}

const stopSignals = ["SIGTERM", "SIGINT"] as const;
const concurrencyDefault = 100;
const concurrencyMax = 100_000;
const pollersDefault = 2;
const pollersMax = 8;
const registerTimeoutMs = 10_000;
const pollGraceMs = 100;
/** For results that no server has acknowledged when everything else has ended. */
const flushMs = 5_000;

const consoleLogger: Logger = {
  info: (message) => console.log(message),
  warn: (message) => console.warn(message),
  error: (message) => console.error(message),
};

export class Worker {
  readonly workerId: string;
  private readonly options: WorkerOptions;
  private readonly logger: Logger;
  private readonly handlers = new Map<string, Handler>();
  private readonly definitions: ActionDefinition[] = [];
  private readonly slots = new Slots();
  private parts:
    | { link: Link; outbox: Outbox; tasks: Tasks; heartbeats: Heartbeats; pump: Pump }
    | undefined;
  private stopping: Promise<void> | undefined;

  constructor(options: WorkerOptions) {
    this.options = options;
    this.logger = options.logger ?? consoleLogger;
    const ownId = `${hostname()}-${process.pid}-${randomBytes(4).toString("hex")}`;
    this.workerId = (options.workerId ?? ownId).slice(0, limits.workerIdCharsMax);
    wholeNumber("concurrency", options.concurrency ?? concurrencyDefault, concurrencyMax);
    wholeNumber("pollers", options.pollers ?? pollersDefault, pollersMax);
  }

  /** Sets the handler for tasks of the action `name`. Before start(). */
  action(name: string, handler: Handler): this;
  action(name: string, options: ActionOptions, handler: Handler): this;
  action(name: string, optionsOrHandler: ActionOptions | Handler, handler?: Handler): this {
    const [options, run] =
      typeof optionsOrHandler === "function" ? [{}, optionsOrHandler] : [optionsOrHandler, handler];
    if (typeof run !== "function") throw new TypeError(`The action "${name}" needs a handler.`);
    if (this.parts !== undefined)
      throw new Error("The worker was started. Call action() before start() or run().");
    if (this.handlers.has(name))
      throw new Error(`The action "${name}" has two handlers. Give it one.`);
    const { concurrency, nonRetryable, ...rules } = options;
    const count = concurrency ?? this.options.concurrency ?? concurrencyDefault;
    wholeNumber(`concurrency of "${name}"`, count, concurrencyMax);
    this.slots.add(name, count);
    this.handlers.set(name, run);
    this.definitions.push(
      create(ActionDefinitionSchema, { ...rules, name, nonRetryable: [...(nonRetryable ?? [])] }),
    );
    return this;
  }

  /**
   * Resolves when a server knows this worker's actions, however long that takes. Throws when the
   * server refuses them.
   */
  async start(): Promise<void> {
    if (this.parts !== undefined)
      throw new Error("The worker was started before. Call start() or run() once.");
    if (this.handlers.size === 0) {
      throw new Error("The worker has no actions. Call action(name, handler) before.");
    }
    const parts = this.build();
    this.parts = parts;
    try {
      const session = await parts.link.ready();
      const names = [...this.handlers.keys()].join(", ");
      this.logger.info(`worker ${this.workerId} at ${session.server.origin} runs ${names}`);
    } catch (error) {
      if (this.stopping !== undefined) return;
      parts.link.close();
      throw error;
    }
    if (this.stopping !== undefined) return;
    parts.heartbeats.start();
    parts.pump.start();
  }

  /**
   * Takes no more tasks, lets the handlers end, gives back what does not end in time, and sends
   * the results that are still here.
   */
  stop(options: StopOptions = {}): Promise<void> {
    this.stopping ??= this.drain(options.drainMs ?? limits.drainMs);
    return this.stopping;
  }

  /**
   * Runs until SIGTERM or SIGINT, then drains; a second signal takes its default action, which ends
   * the process. Rejects with an Error of one sentence when the worker cannot start: unhandled, it
   * ends the process with exit code 1.
   */
  async run(options: StopOptions = {}): Promise<void> {
    let onSignal: () => void = () => {};
    const signalled = new Promise<void>((resolve) => {
      onSignal = resolve;
    });
    for (const signal of stopSignals) process.on(signal, onSignal);
    try {
      await Promise.race([this.start().then(() => signalled), signalled]);
    } catch (error) {
      const sentence = new Error(`The worker cannot start: ${messageOf(error)}`);
      // Printed, it shows the caller's line at most, and none of this library.
      Error.captureStackTrace(sentence, this.run);
      throw sentence;
    } finally {
      for (const signal of stopSignals) process.off(signal, onSignal);
    }
    await this.stop(options);
  }

  private build(): NonNullable<Worker["parts"]> {
    const { server, transport = "http2", queues = [], pollers = pollersDefault } = this.options;
    const { logger, workerId, slots } = this;
    const servers = Array.isArray(server) ? server : [server as string];
    const { key, tls, logPayloads = false } = this.options;
    const credentials = { key: readKey(key ?? process.env.ORCHY_KEY), tls };
    const onConnect = (session: Session): Promise<void> => this.register(session);
    const link = new Link({ servers, transport, credentials, logger, onConnect });
    const failures = new FailureLog(logger, logPayloads);
    const outbox = new Outbox({
      onReady: () => pump.schedule(),
      onSettled: (tokens) => heartbeats.drop(tokens),
      onRefused: (place, reason) => failures.refused(place, reason),
    });
    const tasks = new Tasks({
      handlers: this.handlers,
      outbox,
      beat: (token, json) => heartbeats.beatNow(token, json),
      failures,
    });
    const heartbeats = new Heartbeats({
      servers,
      transport,
      credentials,
      workerId,
      logger,
      onStop: (token, reason) => tasks.stop(token, reason),
    });
    const common = { link, outbox, tasks, heartbeats };
    const pump = new Pump({ ...common, slots, logger, workerId, queues, pollers });
    return { ...common, pump };
  }

  private async register(session: Session): Promise<void> {
    const { definitions, workerId } = this;
    const { registeredActionsPerCallMax } = limits;
    for (let start = 0; start < definitions.length; start += registeredActionsPerCallMax) {
      const actions = definitions.slice(start, start + registeredActionsPerCallMax);
      const request = create(RegisterActionsRequestSchema, { actions, workerId });
      const options = { timeoutMs: registerTimeoutMs };
      await session.call(WorkerService.method.registerActions, request, options);
    }
  }

  private async drain(drainMs: number): Promise<void> {
    if (this.parts === undefined) return;
    const { pump, tasks, outbox, heartbeats, link } = this.parts;
    await pump.stopPolling(pollGraceMs);
    await within(drainMs, tasks.idle());
    const abandoned = tasks.abandon();
    if (abandoned.length > 0) {
      this.logger.warn(`${abandoned.length} tasks did not end in ${inTime(drainMs)}: they go back`);
      await within(flushMs, pump.release(abandoned));
    }
    const flushed = await within(flushMs, outbox.empty());
    if (!flushed) this.logger.warn("Some results could not be sent; their leases will lapse.");
    // Tasks that came while the worker was stopping are still on their way back.
    await within(flushMs, pump.settled());
    await heartbeats.stop();
    pump.end();
    link.close();
  }
}

/** True when `work` ended within `ms`. */
async function within(ms: number, work: Promise<void>): Promise<boolean> {
  const { over, end } = waitOf(ms, systemClock);
  return await Promise.race([work.then(() => true), over.then(() => false)]).finally(end);
}

/** Files and variables often end with a line break; a header must not. */
function readKey(given: string | undefined): string | undefined {
  const key = given?.trim();
  if (key === undefined || key === "") return undefined;
  if (/^[\x21-\x7e]+$/.test(key)) return key;
  throw new TypeError("The key holds a space or another character that is in no key.");
}

function wholeNumber(what: string, value: number, max: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= max) return;
  throw new TypeError(`The ${what} is a whole number from 1 to ${max}, not ${value}.`);
}
