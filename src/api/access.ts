/**
 * Who may do what at the edge: finds the key that a caller sends and holds it against what a route or
 * method needs. While there is no key, or with --insecure, nobody is asked.
 */
import type { Clock } from "../clock.ts";
import { OrchyError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Logger } from "../log.ts";
import { hasScope, type Key, type Scope } from "../model/key.ts";
import { logFault } from "../runtime/faults.ts";
import type { FirstKey } from "../runtime/first-key.ts";
import type { Keys } from "../runtime/keys.ts";

/**
 * `open`: nothing. `key`: a key, whatever its scopes. `first-key`: as `admin`, and while there is no
 * key the secret for the first one, whether or not callers are asked for keys.
 */
export type Need = "open" | "key" | "first-key" | Scope;

/** Who calls. Without a key: nobody was asked. */
export interface Caller {
  readonly key?: Key;
  /** What was sent, to be looked at again when the call lasts. */
  readonly authorization?: string;
  readonly admittedAt?: number;
}

export const anybody: Caller = {};

export interface Access {
  /** Throws UNAUTHENTICATED or PERMISSION_DENIED. `authorization`: the header of that name. */
  admit(need: Need, authorization: string | null | undefined): Caller | Promise<Caller>;
  /** Whether callers need a key. */
  asksForKeys(): boolean | Promise<boolean>;
  /** For calls that last: throws when the key has been revoked meanwhile. */
  stillAdmits(caller: Caller): Promise<void>;
  /** Calls back once, within two times `limits.keyFreshMs`, when the key has been revoked. */
  watch(caller: Caller, onRevoked: () => void): () => void;
}

export interface AccessOptions {
  readonly keys: Keys;
  /** Absent: the first key is made at the store only. */
  readonly firstKey?: FirstKey | undefined;
  /** Never ask anybody. */
  readonly insecure: boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createAccess(options: AccessOptions): Access {
  const { keys, firstKey, insecure, clock, log } = options;

  const asksForKeys = () => !insecure && keys.inForce();

  async function authenticate(need: Need, authorization: string): Promise<Caller> {
    const key = await keys.verify(bearer(authorization));
    if (key === undefined) throw new OrchyError("UNAUTHENTICATED", refused(need));
    return { key, authorization, admittedAt: clock.now() };
  }

  async function admitByKey(need: Need, authorization: string | null | undefined) {
    if (need === "first-key" && !(await keys.exist())) return admitFirst(authorization);
    if (!(await asksForKeys())) return anybody;
    if (!authorization) throw new OrchyError("UNAUTHENTICATED", missing(need));
    const caller = await authenticate(need, authorization);
    checkScope(caller.key!, need);
    return caller;
  }

  function admitFirst(authorization: string | null | undefined): Caller {
    if (firstKey?.isProvenBy(bearer(authorization ?? ""))) return anybody;
    throw new OrchyError("UNAUTHENTICATED", missingFirst);
  }

  async function stillAdmits({ authorization, admittedAt = 0 }: Caller): Promise<void> {
    const isFresh = Math.abs(clock.now() - admittedAt) < limits.keyFreshMs;
    if (authorization !== undefined && !isFresh) await authenticate("key", authorization);
  }

  return {
    admit(need, authorization) {
      if (need === "open" || (insecure && need !== "first-key")) return anybody;
      return admitByKey(need, authorization);
    },
    asksForKeys,
    stillAdmits,
    watch(caller, onRevoked) {
      if (caller.authorization === undefined) return () => {};
      let cancel = () => {};
      let over = false;
      async function look(): Promise<void> {
        try {
          await stillAdmits(caller);
        } catch (error) {
          if (over) return;
          if (error instanceof OrchyError && error.code === "UNAUTHENTICATED") return onRevoked();
          logFault(log, "a key could not be looked at again", error);
        }
        if (!over) cancel = clock.after(limits.keyFreshMs, look);
      }
      cancel = clock.after(limits.keyFreshMs, look);
      return () => {
        over = true;
        cancel();
      };
    },
  };
}

/** Of those who may touch tasks: whether this action's are among them. */
export function mayTouch({ key }: Caller, action: string): boolean {
  return key?.actions === undefined || key.actions.includes(action);
}

/** Throws PERMISSION_DENIED for the first action that the caller's key does not name. */
export function checkActions(caller: Caller, actions: readonly string[]): void {
  if (caller.key?.actions === undefined) return;
  const denied = actions.find((action) => !mayTouch(caller, action));
  if (denied !== undefined) throw new OrchyError("PERMISSION_DENIED", deniedAction(caller, denied));
}

export function deniedAction({ key }: Caller, action: string): string {
  const named = key?.actions?.slice(0, 10).join(", ");
  const more = (key?.actions?.length ?? 0) > 10 ? " and others" : "";
  return `The key ${key?.id} is for the actions ${named}${more}, not for ${action}.`;
}

function bearer(authorization: string): string {
  return /^bearer +(\S+)$/i.exec(authorization.trim())?.[1] ?? "";
}

const missingFirst =
  "The first key is made with the secret that this server printed when it started: send the header " +
  '"Authorization: Bearer orchy_first_…". On its machine, npm run keys -- create reads the secret ' +
  "of an embedded store; with --store it makes a key in a store that no server has open, or that " +
  "servers share.";

function wanted(need: Need): string {
  return need === "key" ? "a key" : `a key with the scope ${need === "first-key" ? "admin" : need}`;
}

function missing(need: Need): string {
  return `This needs ${wanted(need)}: send the header "Authorization: Bearer orchy_…".`;
}

/** Which of these it is is nobody's business who does not hold the key. */
function refused(need: Need): string {
  return `The key that was sent is not known, wrong, or revoked; this needs ${wanted(need)}.`;
}

function checkScope(key: Key, need: Need): void {
  if (need === "open" || need === "key") return;
  const scope = need === "first-key" ? "admin" : need;
  if (hasScope(key, scope)) return;
  const message = `This needs a key with the scope ${scope}; the key ${key.id} has ${key.scopes.join(", ")}.`;
  throw new OrchyError("PERMISSION_DENIED", message);
}
