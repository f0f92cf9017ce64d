/**
 * W3C trace context, and the ids of traces and spans. Ids are hashes of what they name, so that any
 * server can report an action's end, and name its parent, without having seen its start.
 */
/** `traceparent` as it was sent, taken apart. */
interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

const pattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Undefined for what the specification calls invalid. */
export function parseTraceParent(text: string): TraceParent | undefined {
  const [, version, traceId, spanId, flags, rest] = pattern.exec(text) ?? [];
  if (traceId === undefined || spanId === undefined || version === "ff") return undefined;
  // A later version may add to the end; this one does not.
  if (version === "00" && rest !== undefined) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags!, 16) & 1) === 1 };
}

export function formatTraceParent({ traceId, spanId, sampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
}

/** What `tracestate` may be; it is passed on as it came. */
export function isTraceState(text: string): boolean {
  return /^[\x20-\x7e]{1,512}$/.test(text);
}

/** The trace of an execution that was started outside of any. */
export function traceIdOf(executionId: string): string {
  return hash(executionId, 1n) + hash(executionId, 2n);
}

/** `of`: an execution and its run; an action of it; an attempt at that. */
export function spanIdOf(...of: readonly (string | number)[]): string {
  return hash(of.join(":"), 0n);
}

/** By the last 56 bits of its id, as others do it: all deciders on a trace agree. */
export function isWithin(traceId: string, ratio: number): boolean {
  return ratio >= 1 || Number.parseInt(traceId.slice(18), 16) / 2 ** 56 < ratio;
}

/**
 * 64 bits that are the same on every server; several times quicker than a hash that keeps secrets.
 */
function hash(text: string, seed: bigint): string {
  return Bun.hash.xxHash64(text, seed).toString(16).padStart(16, "0");
}
