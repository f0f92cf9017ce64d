/** What went wrong with a call, as the contract says it: not applied, or unknown. */
import { limits } from "../../base/limits.ts";
import { StoreFault } from "../store.ts";

/** Refusals of Redis that pass: the script did not begin. */
const passing = new Set([
  ...["MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY", "BUSY"],
  ...["NOREPLICAS", "UNBLOCKED"],
]);
/** Refusals for want of room: memory, or a disk that takes no more. */
const exhausted = new Set(["OOM", "MISCONF"]);
/** Other refusals before the script begins. */
const refused = new Set(["NOAUTH", "WRONGPASS", "NOPERM", "CROSSSLOT"]);

/** The node has not got the library (link.ts gives it to it): nothing was run. */
export function isFunctionMissing(error: Error): boolean {
  return error.message === "ERR Function not found";
}

const noConnection = "there is no connection";

/** The client's own sentences, about options that no operator can set. */
const sentences: readonly (readonly [sign: RegExp, sentence: string])[] = [
  [/enableOfflineQueue/, noConnection],
  [/^(?:Cluster|Node) is (?:disconnect|ended)/, noConnection],
  [/^Reached the max retries|^Command aborted due/, "the connection ended before the reply"],
  [/^Connection is closed/, "the connection is closed"],
  [/^Command timed out|^Socket timeout/, "there was no reply in time"],
  [/^Failed to refresh slots cache|^None of startup nodes/, "no node of the cluster replies"],
  [/^All sentinels are unreachable/, "no sentinel replies"],
];

/** `connection`: why the connection is down, if that is known. */
export function sentenceOf(message: string, connection?: string): string {
  const sentence = sentences.find(([sign]) => sign.test(message))?.[1] ?? message;
  if (connection === undefined || sentence !== noConnection) return sentence;
  return `${sentence}: ${sentenceOf(connection)}`;
}

interface Fault {
  readonly fault: StoreFault;
  /** It was certainly not applied, and may succeed when it is tried again soon. */
  readonly passes: boolean;
  /** The caller's clock is wrong. */
  readonly skewed: boolean;
}

function isReply(error: Error): boolean {
  return error.name === "ReplyError";
}

/**
 * A script has refused the moment that it was given, as it is far from its node's clock. What has
 * taken long was on its way for so long; otherwise the clock of this server is wrong.
 */
export function skewedFault(tookMs: number, cause?: unknown): StoreFault {
  const max = limits.clockSkewMsMax;
  const message =
    tookMs < max
      ? `The clock of this server is more than ${max} ms off that of Redis; it is measured again.`
      : `A call was on its way to Redis for more than ${max} ms, and was refused (its answer came ` +
        `after ${Math.round(tookMs)} ms): the link is slow, or Redis is busy.`;
  return new StoreFault("not_applied", message, { cause });
}

interface Circumstances {
  /** The time since the call was made. */
  readonly tookMs?: number;
  /** Why the connection is down now. */
  readonly connection?: string | undefined;
}

/** `sent`: the call has been written to a connection at least once. */
export function faultOf(
  error: unknown,
  sent: boolean,
  { tookMs = 0, connection }: Circumstances = {},
): Fault {
  const { message } = error as Error;
  const make = (
    outcome: "not_applied" | "unknown",
    text: string,
    reason: "unavailable" | "exhausted" = "unavailable",
  ) => new StoreFault(outcome, text, { reason, cause: error });
  const code = /^[A-Z]+/.exec(message)?.[0] ?? "";
  const known = (fault: StoreFault, passes = false): Fault => ({
    fault,
    passes,
    skewed: isReply(error as Error) && code === "SKEWED",
  });
  if (isReply(error as Error)) {
    if (code === "SKEWED") return known(skewedFault(tookMs, error));
    if (passing.has(code) || isFunctionMissing(error as Error)) {
      return known(make("not_applied", `Redis refused: ${message}`), true);
    }
    if (exhausted.has(code)) {
      return known(make("not_applied", `Redis has no room: ${message}`, "exhausted"));
    }
    if (refused.has(code)) return known(make("not_applied", `Redis refused: ${message}`));
    // Checks come first in every script, but an error of Redis in between may come after writes.
    return known(make("unknown", `A script failed in Redis: ${message}`));
  }
  const redirected = /^Too many Cluster redirections. Last error: (?:\w+: )?([A-Z]+)\b/.exec(
    message,
  );
  if (redirected?.[1] !== undefined && passing.has(redirected[1])) {
    return known(make("not_applied", `The Redis cluster is not ready: ${message}`), true);
  }
  const sentence = sentenceOf(message, connection);
  // What timed out before it was written may be written later.
  if (sent || message === "Command timed out") {
    return known(make("unknown", `Redis did not reply: ${sentence}`));
  }
  return known(make("not_applied", `Redis cannot be reached: ${sentence}`), true);
}
