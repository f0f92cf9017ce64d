/**
 * Who may do what at the edge: finds the key that a caller sends and holds it against what a route
 * or method needs. While no key exists, or with --insecure, callers need none.
 */
import type { Clock } from "../base/clock.ts";
import { OrchyError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { hasScope, type Key, parseKey, type Scope } from "../model/key.ts";
import type { FirstKey } from "../runtime/services/first-key.ts";
import type { Keys } from "../runtime/services/keys.ts";
import { logFault } from "../runtime/shared/faults.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Audit } from "./audit.ts";
import type { Caller, Sender } from "./caller.ts";

/**
 * `open`: nothing. `key`: a key, whatever its scopes. `first-key`: as `admin`, and while no key
 * exists the secret for the first one, whether or not callers need keys.
 */
export type Need = "open" | "key" | "first-key" | Scope;

export interface Access {
  /** Throws UNAUTHENTICATED or PERMISSION_DENIED. */
  admit(need: Need, sender: Sender): Caller | Promise<Caller>;
  /** Throws PERMISSION_DENIED for the first action that the caller's key does not name. */
  checkActions(caller: Caller, actions: readonly string[]): void;
  /** Whether callers need a key. */
  asksForKeys(): boolean | Promise<boolean>;
  /** For calls that last: throws when the key has been revoked meanwhile. */
  stillAdmits(caller: Caller): Promise<void>;
  /** Calls back once, within two times `limits.keyFreshMs`, when the key has been revoked. */
  watch(caller: Caller, onRevoked: () => void): () => void;
}

interface AccessOptions {
  readonly keys: Keys;
  /** Absent: the first key is made at the store only. */
  readonly firstKey?: FirstKey | undefined;
  /** Never require a key. */
  readonly insecure: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly audit: Audit;
}

export function createAccess(options: AccessOptions): Access {
  const { keys, firstKey, insecure, clock, log, audit } = options;

  const asksForKeys = () => !insecure && keys.inForce();

  function refuse(sender: Sender, code: "UNAUTHENTICATED" | "PERMISSION_DENIED", message: string) {
    // A request without a key is no attempt at one.
    if (sender.authorization) audit.refused(sender, code, sentId(sender));
    return new OrchyError(code, message);
  }

  async function authenticate(need: Need, sender: Sender): Promise<Caller & { readonly key: Key }> {
    if (!sender.authorization) throw refuse(sender, "UNAUTHENTICATED", missing(need));
    const key = await keys.verify(bearer(sender));
    if (key === undefined) throw refuse(sender, "UNAUTHENTICATED", wrong(need));
    return { key, sender, admittedAt: clock.now() };
  }

  async function admitByKey(need: Need, sender: Sender): Promise<Caller> {
    if (need === "first-key" && !(await keys.exist())) return admitFirst(sender);
    if (!(await asksForKeys())) return { sender };
    const caller = await authenticate(need, sender);
    const problem = scopeProblem(caller.key, need);
    if (problem !== undefined) throw refuse(sender, "PERMISSION_DENIED", problem);
    return caller;
  }

  function admitFirst(sender: Sender): Caller {
    if (firstKey?.isProvenBy(bearer(sender))) return { sender };
    throw refuse(sender, "UNAUTHENTICATED", missingFirst);
  }

  async function stillAdmits({ key, sender, admittedAt = 0 }: Caller): Promise<void> {
    const isFresh = Math.abs(clock.now() - admittedAt) < limits.keyFreshMs;
    if (key !== undefined && !isFresh) await authenticate("key", sender);
  }

  return {
    admit(need, sender) {
      if (need === "open" || (insecure && need !== "first-key")) return { sender };
      return admitByKey(need, sender);
    },
    checkActions(caller, actions) {
      const denied = actions.find((action) => !mayTouch(caller, action));
      if (denied === undefined) return;
      throw refuse(caller.sender, "PERMISSION_DENIED", deniedAction(caller, denied));
    },
    asksForKeys,
    stillAdmits,
    watch(caller, onRevoked) {
      if (caller.key === undefined) return () => {};
      let cancel = () => {};
      let over = false;
      async function look(): Promise<void> {
        try {
          await stillAdmits(caller);
        } catch (error) {
          if (over) return;
          if (error instanceof OrchyError && error.code === "UNAUTHENTICATED") return onRevoked();
          logFault(log, "a key could not be verified again", error);
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

export function deniedAction({ key }: Caller, action: string): string {
  const named = key?.actions?.slice(0, 10).join(", ");
  const more = (key?.actions?.length ?? 0) > 10 ? " and others" : "";
  return `The key ${key?.id} is for the actions ${named}${more}, not for ${action}.`;
}

function bearer({ authorization }: Sender): string {
  return /^bearer +(\S+)$/i.exec((authorization ?? "").trim())?.[1] ?? "";
}

function sentId(sender: Sender): string | undefined {
  return parseKey(bearer(sender))?.id;
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
  return `This call needs ${wanted(need)}: send the header "Authorization: Bearer orchy_…".`;
}

/** A caller without the key is not told which of these it is. */
function wrong(need: Need): string {
  return `The key in the request is unknown, wrong or revoked; this call needs ${wanted(need)}.`;
}

function scopeProblem(key: Key, need: Need): string | undefined {
  if (need === "open" || need === "key") return undefined;
  const scope = need === "first-key" ? "admin" : need;
  if (hasScope(key, scope)) return undefined;
  return `This call needs a key with the scope ${scope}; the key ${key.id} has ${key.scopes.join(", ")}.`;
}
