/**
 * Keys: who may do what. A key is shown once, as `orchy_<id>_<secret>`; what is kept of its secret
 * is a digest. The id is no secret: it stands in lists and in the log.
 */

/**
 * `admin`: everything. `run`: start, signal and operate executions. `worker`: take tasks and bring
 * results. `read`: look at everything. Only `admin` includes others.
 */
export const scopes = ["admin", "run", "worker", "read"] as const;
/** What a key may be used for; `admin` includes the others. */
export type Scope = (typeof scopes)[number];

/** A stored key: a digest of its secret, never the secret itself. */
export interface Key {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** For the scope `worker`: the only actions whose tasks it may touch; absent: all. */
  readonly actions?: readonly string[];
  readonly createdAt: number;
  /** Revoked keys stay in the list, and stay refused. */
  readonly revokedAt?: number;
}

/** Hexadecimal, so that a double click takes the whole, and no underscore is inside the parts. */
const keyPattern = /^orchy_([0-9a-f]{16})_([0-9a-f]{64})$/;

/** What makes the first key; it is not a key itself, and no text of a key begins like it. */
export const firstKeyPattern = /^orchy_first_[0-9a-f]{64}$/;

export function formatFirstKeySecret(secret: string): string {
  return `orchy_first_${secret}`;
}

export const keyIdBytes = 8;
export const keySecretBytes = 32;

export function formatKey(id: string, secret: string): string {
  return `orchy_${id}_${secret}`;
}

/** Undefined for text that no server ever made. */
export function parseKey(
  text: string,
): { readonly id: string; readonly secret: string } | undefined {
  const parts = keyPattern.exec(text);
  return parts === null ? undefined : { id: parts[1]!, secret: parts[2]! };
}

/** Whether the key has the scope, or `admin`, which includes all. */
export function hasScope(key: Key, scope: Scope): boolean {
  return key.scopes.includes(scope) || key.scopes.includes("admin");
}
