/**
 * Calls of the servers' REST API as a careful client makes them: any server, again until answered.
 */
import type { Chance } from "../support/chance.ts";

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: each caller knows what it has asked for
  readonly body: any;
}

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  /** Longest wait for the answer; default 5 s. */
  readonly timeoutMs?: number;
}

const timeoutMsDefault = 5_000;
/** A call without an answer from any server for this long counts as a violation. */
const giveUpMs = 120_000;

export class Client {
  readonly urls: readonly string[];
  readonly #chance: Chance;
  readonly #violate: (sentence: string) => void;
  /** Calls that were made again. */
  repeats = 0;

  constructor(urls: readonly string[], chance: Chance, violate: (sentence: string) => void) {
    this.urls = urls;
    this.#chance = chance;
    this.#violate = violate;
  }

  anyUrl(): string {
    return this.#chance.pick(this.urls);
  }

  /** Throws when no answer comes. */
  async call(url: string, { method, path, body, headers, timeoutMs }: Call): Promise<Answer> {
    const response = await fetch(url + path, {
      method,
      headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
      signal: AbortSignal.timeout(timeoutMs ?? timeoutMsDefault),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const answer = { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
    if (answer.status === 500) this.#violate(`${method} ${path} failed inside: ${text}`);
    return answer;
  }

  /** Undefined when it was refused for now, or when no server answered. */
  async attempt(call: Call, url = this.anyUrl()): Promise<Answer | undefined> {
    try {
      const answer = await this.call(url, call);
      return answer.status >= 500 || answer.status === 429 ? undefined : answer;
    } catch {
      return undefined;
    }
  }

  /** Only for what is safe to repeat. Undefined when it was given up, which is a violation. */
  async surely(call: Call): Promise<Answer | undefined> {
    const giveUpAt = performance.now() + giveUpMs;
    for (let pauseMs = 50; ; pauseMs = Math.min(1_000, pauseMs * 2)) {
      const answer = await this.attempt(call);
      if (answer !== undefined) return answer;
      if (performance.now() > giveUpAt) break;
      this.repeats += 1;
      await Bun.sleep(pauseMs);
    }
    this.#violate(`${call.method} ${call.path} was not answered in ${giveUpMs / 1_000} seconds`);
    return undefined;
  }
}

/** What `Complete` and `Poll` say of a result, without the prefix of the enum. */
export function resultStatuses(answer: Answer): string[] {
  const results = (answer.body.results ?? []) as readonly { readonly status?: string }[];
  return results.map(({ status = "" }) => status.replace("RESULT_STATUS_", ""));
}
