/** Hashes that the runtime builds ids and comparisons from: SHA-256, the same on every server. */

import { defined } from "../../base/defined.ts";
import { hashId, hashText } from "../../base/hash.ts";
import { canonicalJson } from "../../model/canonical.ts";
import type { Cause } from "../../model/event.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { StartRequest } from "./orchestrator.ts";

/** Of what a message starts; without the source's start as in format 2. */
export function followUpId(
  namespace: string,
  message: { readonly key: ExecutionKey; readonly id: string },
  sourceStartedAt: number | undefined,
): string {
  const life = sourceStartedAt === undefined ? [] : [`${sourceStartedAt}`];
  return hashId(namespace, message.key.id, message.id, ...life);
}

/** The same request, repeated, has the same hash; the trace is not part of the request. */
export function hashRequest(request: StartRequest): string {
  const { workflow, version, input, correlationId, priority, signal } = request;
  return hashText(JSON.stringify([workflow, version, input, correlationId, priority, signal]));
}

/** The same for every spelling of its payloads. */
export function canonicalRequest(request: StartRequest): StartRequest {
  const { input, signal } = request;
  return {
    ...request,
    input: canonicalJson(input),
    ...defined({ signal: signal && { ...signal, payload: canonicalJson(signal.payload) } }),
  };
}

/**
 * What makes the repeat of a signal or operation harmless. Hashes are short, as many are kept: 96
 * bits of the request, 32 of its scope, as two scopes that share a hash only share their ids.
 */
export function causeOf(
  kind: "signal" | "operation",
  id: string,
  { scope, body }: { readonly scope: string; readonly body: JsonText },
): Cause {
  return {
    id: `${kind}:${id}`,
    scope: hashText(scope).slice(0, 8),
    hash: hashText(JSON.stringify([scope, canonicalJson(body)])).slice(0, 24),
  };
}

/** Chance inside an execution comes from its id: a repeated start begins alike. */
export function seedOf(id: string): number {
  return Number.parseInt(hashText(id).slice(0, 8), 16);
}
