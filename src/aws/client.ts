/**
 * Requests to services of AWS that speak JSON (DynamoDB, SQS): signed, repeated where that may help
 * and does no harm, and given up in time. Of what fails, it is said whether it may have been applied.
 */
import { type Clock, elapsedOf, goOn, type Now, pause } from "../base/clock.ts";
import type { CredentialSource } from "./credentials.ts";
import { Deadlines } from "./deadlines.ts";
import {
  AwsFault,
  connectionFault,
  isThrottled,
  isUnreachable,
  isUnsigned,
  readFault,
} from "./faults.ts";
import { ServiceClock } from "./service-clock.ts";
import { type AwsCredentials, amzDate, Signer } from "./signing.ts";
import { Slots } from "./slots.ts";

const targets = { dynamodb: "DynamoDB_20120810", sqs: "AmazonSQS" } as const;

/** One request as it went over the wire, for metrics. */
export interface AwsAttempt {
  readonly operation: string;
  /** `ok`, or the code of its fault. */
  readonly outcome: string;
  /** The response to a request that succeeded. */
  readonly body?: object;
}

interface AwsClientOptions {
  readonly service: keyof typeof targets;
  readonly region: string;
  /** Absent: that of the service in the region. */
  readonly endpoint?: string;
  readonly credentials: CredentialSource;
  readonly clock: Clock;
  /** Most requests under way at once; absent: any number. */
  readonly inFlightMax?: number;
  /** From 0 to below 1; absent: the system's. */
  readonly random?: () => number;
  readonly onAttempt?: (attempt: AwsAttempt) => void;
}

export interface AwsCallOptions {
  /** Done twice it does what it does once: it is sent again after an unknown outcome, too. */
  readonly isRepeatable?: boolean;
  /** For each attempt: what has no response by then is given up. */
  readonly attemptMs?: number;
  /** No attempt begins later than that after the call. */
  readonly deadlineMs?: number;
  /** Ends a pause, after which nothing is sent; or what is under way, whose outcome is unknown. */
  readonly signal?: AbortSignal;
}

const attemptMsDefault = 5_000;
const deadlineMsDefault = 10_000;
const attemptsMax = 10;
/** Pauses are random, up to these bounds, which double. */
const pauseMsFirst = 50;
const pauseMsMax = 2_000;
/** Between two looks at the time of a service: often enough to see its seconds begin. */
const dateEveryMs = 130;

export class AwsClient {
  readonly #options: AwsClientOptions;
  readonly #url: string;
  readonly #host: string;
  readonly #path: string;
  readonly #signer: Signer;
  /** What the service's clock is compared with: it does not jump when this machine's is set. */
  readonly #time: Now;
  readonly #serviceClock = new ServiceClock();
  readonly #deadlines: Deadlines;
  readonly #slots: Slots;
  /** As in the last signature; most are of the same second. */
  #date = { second: Number.NaN, text: "" };
  #datedAt = Number.NEGATIVE_INFINITY;

  /** Throws an Error of one sentence where the endpoint is no URL. */
  constructor(options: AwsClientOptions) {
    const { service, region } = options;
    const endpoint = options.endpoint ?? endpointOf(service, region);
    const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol)) {
      throw new Error(`The endpoint of ${service} must be a URL such as http://localhost:8000.`);
    }
    this.#options = options;
    this.#url = url.href;
    this.#host = url.host;
    this.#path = url.pathname;
    this.#signer = new Signer(region, service);
    this.#time = goOn(options.clock);
    this.#deadlines = new Deadlines(options.clock);
    this.#slots = new Slots(options.inFlightMax ?? Number.POSITIVE_INFINITY);
  }

  /** For messages to people. */
  get host(): string {
    return this.#host;
  }

  /** How far the service's clock is ahead of this process's, in milliseconds. */
  get timeOffset(): number {
    return this.#time.now() + this.#serviceClock.offset - this.#options.clock.now();
  }

  /** Throws an AwsFault. */
  async call<Answer extends object>(
    operation: string,
    request: object,
    options: AwsCallOptions = {},
  ): Promise<Answer> {
    const body = JSON.stringify(request);
    const { clock } = this.#options;
    const { isRepeatable = false, deadlineMs = deadlineMsDefault, signal } = options;
    const elapsed = () => elapsedOf(clock);
    const startedAt = elapsed();
    let isUnknown = false;
    let signings = 0;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#slots.take();
        try {
          if (elapsed() - startedAt > deadlineMs) throw tooBusy(operation);
          return await this.#attempt<Answer>(operation, body, options);
        } finally {
          this.#slots.giveBack();
        }
      } catch (error) {
        if (!(error instanceof AwsFault)) throw error;
        isUnknown ||= error.outcome === "unknown";
        const signsAgain = isUnsigned(error) && ++signings === 1;
        const pauseMs = signsAgain ? 0 : this.#pauseMs(attempt);
        const isInTime = elapsed() - startedAt + pauseMs <= deadlineMs;
        const isHarmless = isRepeatable || !isUnknown;
        const mayHelp = signsAgain || isPassing(error);
        const goesOn = mayHelp && isHarmless && isInTime && attempt < attemptsMax;
        if (goesOn) await pause(pauseMs, clock, signal);
        // An earlier attempt may have been applied, whatever became of the last one.
        if (!goesOn || signal?.aborted) throw isUnknown ? error.asUnknown() : error;
      }
    }
  }

  /** The pause after so many attempts, for what a successful response left undone. */
  async backOff(attempt: number): Promise<void> {
    await pause(this.#pauseMs(attempt), this.#options.clock);
  }

  /** Full jitter: those who were refused together do not come back together. */
  #pauseMs(attempt: number): number {
    const { random = Math.random } = this.#options;
    return random() * Math.min(pauseMsMax, pauseMsFirst * 2 ** (attempt - 1));
  }

  async #attempt<Answer extends object>(
    operation: string,
    body: string,
    { attemptMs = attemptMsDefault, signal }: AwsCallOptions,
  ): Promise<Answer> {
    const { credentials, onAttempt } = this.#options;
    const known = await this.#credentials(operation);
    const giveUp = new AbortController();
    const late = () => new DOMException("there was no response in time", "TimeoutError");
    const end = () => giveUp.abort(late());
    const cancel = this.#deadlines.add(attemptMs, end);
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
    try {
      const sentAt = this.#time.now();
      const headers = this.#headers(operation, body, { known, sentAt });
      const response = await fetch(this.#url, {
        method: "POST",
        headers,
        body,
        signal: giveUp.signal,
        redirect: "manual",
      });
      this.#noteDate(response, sentAt);
      const text = await response.text();
      if (response.status !== 200) throw readFault(operation, response.status, text);
      const answer = (text === "" ? {} : JSON.parse(text)) as Answer;
      onAttempt?.({ operation, outcome: "ok", body: answer });
      return answer;
    } catch (error) {
      const fault = error instanceof AwsFault ? error : connectionFault(operation, error);
      if (isUnsigned(fault)) credentials.refused(known);
      onAttempt?.({ operation, outcome: fault.code });
      throw fault;
    } finally {
      cancel();
      signal?.removeEventListener("abort", end);
    }
  }

  /** Now and then, and where the time may be what was wrong. */
  #noteDate({ headers, status }: Response, sentAt: number): void {
    const receivedAt = this.#time.now();
    if (status === 200 && Math.abs(receivedAt - this.#datedAt) < dateEveryMs) return;
    this.#datedAt = receivedAt;
    const date = headers.get("date");
    if (date !== null) this.#serviceClock.note(date, sentAt, receivedAt);
  }

  async #credentials(operation: string) {
    try {
      return await this.#options.credentials.current();
    } catch (error) {
      const { message } = error as Error;
      const code = "CredentialsNotFound";
      throw new AwsFault("not_applied", code, `${operation}: ${message}`, { cause: error });
    }
  }

  #dateAt(second: number): string {
    if (this.#date.second !== second) this.#date = { second, text: amzDate(second * 1_000) };
    return this.#date.text;
  }

  #headers(
    operation: string,
    body: string,
    { known, sentAt }: { readonly known: AwsCredentials; readonly sentAt: number },
  ): Record<string, string> {
    const date = this.#dateAt(Math.floor((sentAt + this.#serviceClock.offset) / 1_000));
    const target = `${targets[this.#options.service]}.${operation}`;
    const signed: [string, string][] = [
      ["host", this.#host],
      ["x-amz-date", date],
    ];
    if (known.sessionToken !== undefined) signed.push(["x-amz-security-token", known.sessionToken]);
    signed.push(["x-amz-target", target]);
    const request = { method: "POST", path: this.#path, headers: signed, body };
    const headers: Record<string, string> = {
      authorization: this.#signer.sign(request, known, date),
      "content-type": "application/x-amz-json-1.0",
      "accept-encoding": "identity",
      "x-amz-date": date,
      "x-amz-target": target,
    };
    if (known.sessionToken !== undefined) headers["x-amz-security-token"] = known.sessionToken;
    return headers;
  }
}

/** It was not sent at all. */
function tooBusy(operation: string): AwsFault {
  const message = `${operation}: too many requests were under way until its deadline`;
  return new AwsFault("not_applied", "TooBusy", message);
}

/** It may be over soon. */
function isPassing(fault: AwsFault): boolean {
  return fault.outcome === "unknown" || isThrottled(fault) || isUnreachable(fault);
}

function endpointOf(service: string, region: string): string {
  const domain = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  return `https://${service}.${region}.${domain}`;
}
