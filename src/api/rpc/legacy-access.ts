/**
 * Access over the legacy wire. Its workers send no keys: while no key exists they are served from
 * this machine. Once one exists, a call needs it, or the operator has said from where workers are
 * served without.
 */
import { OrchyError, unreachable } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { isLoopback } from "../../base/loopback.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Access } from "../access.ts";
import type { Audit } from "../audit.ts";
import type { Caller, Sender } from "../caller.ts";
import type { CallContext, Peer } from "./call.ts";

/** From where workers of the legacy wire are served. */
type LegacyWorkers = "loopback" | "mtls" | "open";

interface LegacyAccessOptions {
  readonly access: Access;
  readonly audit: Audit;
  readonly log?: Logger | undefined;
  /** Absent: the operator has said nothing. */
  readonly legacyWorkers?: LegacyWorkers | undefined;
  /** Without keys all are served, unless the operator has restricted these workers. */
  readonly insecure?: boolean;
}

export class LegacyAccess {
  readonly #options: LegacyAccessOptions;
  readonly #warned = new Set<string>();

  constructor(options: LegacyAccessOptions) {
    this.#options = options;
  }

  /** Throws PERMISSION_DENIED. */
  async admit(sender: Sender, peer: () => Peer): Promise<Caller> {
    const { access, insecure, legacyWorkers } = this.#options;
    if (!(await access.asksForKeys())) {
      return this.#byRule(legacyWorkers ?? (insecure ? "open" : "loopback"), sender, peer);
    }
    let refusal = missingKey;
    if (sender.authorization) {
      try {
        return await access.admit("worker", sender);
      } catch (error) {
        if (!(error instanceof OrchyError) || !keyRefusals.has(error.code)) throw error;
        refusal = `${error.message} ${otherwise}`;
      }
    }
    if (legacyWorkers !== undefined) return this.#byRule(legacyWorkers, sender, peer);
    this.#warn(peer);
    // One that was sent is in the audit already.
    if (!sender.authorization) this.#options.audit.refused(sender, "PERMISSION_DENIED", undefined);
    throw new OrchyError("PERMISSION_DENIED", refusal);
  }

  #byRule(rule: LegacyWorkers, sender: Sender, peer: () => Peer): Caller {
    const refusal = refusalBy(rule, { peer });
    if (refusal === undefined) return { sender };
    this.#warn(peer);
    this.#options.audit.refused(sender, "PERMISSION_DENIED", undefined);
    throw new OrchyError("PERMISSION_DENIED", refusal);
  }

  /** A peer does not speak TLS at a port that does. */
  withoutTls(address: string | undefined): void {
    this.#warnOnce(withoutTls, address);
  }

  #warn(peer: () => Peer): void {
    this.#warnOnce(refused, peer().address);
  }

  /** Such a worker may poll for years before somebody looks why it is given nothing. */
  #warnOnce(message: string, address = "unknown"): void {
    const key = `${address} ${message}`;
    if (this.#warned.has(key) || this.#warned.size >= limits.auditAddressesMax) return;
    this.#warned.add(key);
    this.#options.log?.warn(message, { address });
  }
}

const refused = "a worker of the legacy wire is not served; see --legacy-workers";
const withoutTls =
  "a client does not speak TLS at the gRPC port; if it is a worker of the legacy wire, which " +
  "cannot, see --legacy-port";

const keyRefusals: ReadonlySet<string> = new Set(["UNAUTHENTICATED", "PERMISSION_DENIED"]);

const otherwise =
  "Without one, workers of the legacy wire are served as --legacy-workers says, if it is set.";

const missingKey =
  "This call needs a key with the scope worker, as keys exist: send it as the header or metadata " +
  `"authorization: Bearer orchy_…". ${otherwise}`;

/** Why a caller is not served by a rule; undefined: it is. */
export function refusalBy(
  rule: LegacyWorkers,
  { peer }: Pick<CallContext, "peer">,
): string | undefined {
  switch (rule) {
    case "open":
      return undefined;
    case "loopback":
      return isLoopback(peer().address ?? "")
        ? undefined
        : "Workers of the legacy wire are served from this machine only; set --legacy-workers to " +
            "serve others, or send a key.";
    case "mtls":
      return peer().verified
        ? undefined
        : "Workers of the legacy wire must present a client certificate (--legacy-workers mtls).";
    default:
      return unreachable(rule);
  }
}
