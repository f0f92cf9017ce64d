/** Access: the keys, the secret that makes the first one, the door, and the audit lines. */
import { hostname } from "node:os";
import { type Access, createAccess } from "../api/access.ts";
import { type Audit, createAudit } from "../api/audit.ts";
import { createDoor, type Door } from "../api/door.ts";
import type { Clock } from "../base/clock.ts";
import { isLoopback } from "../base/loopback.ts";
import type { Config } from "../config/config.ts";
import { FirstKey } from "../runtime/services/first-key.ts";
import { Keys } from "../runtime/services/keys.ts";
import type { Store } from "../store/store.ts";
import { AuditFile } from "../telemetry/audit-file.ts";
import { createLogger, type Logger } from "../telemetry/log.ts";

interface Guard {
  readonly keys: Keys;
  readonly access: Access;
  readonly door: Door;
  readonly audit: Audit;
  /** What makes the first key over REST; undefined when there was one at the start. */
  readonly firstKeySecret: string | undefined;
  close(): Promise<void>;
}

interface Options {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Throws an Error of one sentence when strangers would be let in, or the audit cannot be written.
 */
export async function openGuard(config: Config, { store, clock, log }: Options): Promise<Guard> {
  const { insecure, advertise, allowedHosts, corsOrigins, auditLog } = config;
  const file = auditLog === undefined ? undefined : await AuditFile.open(auditLog, log);
  const audit = createAudit(file ? [log, fileLogger(file, clock)] : [log], clock);
  const storePath = config.store.kind === "sqlite" ? config.store.path : undefined;
  const firstKey = new FirstKey({ storePath, log });
  const onInForce = () => {
    firstKey.end();
    if (!insecure) logLegacyWorkers(config, log);
  };
  const keys = new Keys({ store, clock, onInForce });
  await refuseUnguarded(config, keys);
  if (!(await keys.inForce())) firstKey.begin();
  const access = createAccess({ keys, firstKey, insecure, clock, log, audit });
  const door = createDoor({
    given: [advertise ?? [], allowedHosts].flat(),
    others: [config.host, hostname()],
    corsOrigins,
    asksForKeys: access.asksForKeys,
    log,
  });
  return {
    keys,
    access,
    door,
    audit,
    firstKeySecret: firstKey.secret,
    async close() {
      firstKey.end();
      await file?.flush();
    },
  };
}

/** Whatever the level of the log. */
function fileLogger(file: AuditFile, clock: Clock): Logger {
  return createLogger({ level: "info", clock, write: (line) => file.write(line) });
}

/** At the start, or when the first key is made. */
function logLegacyWorkers({ legacyWorkers }: Config, log: Logger): void {
  if (legacyWorkers === undefined) {
    log.info("workers of the legacy wire need a key with the scope worker, as there is a key", {
      otherwise: "--legacy-workers",
    });
  } else {
    log.info("workers of the legacy wire are served without a key", {
      "legacy-workers": legacyWorkers,
    });
  }
}

/** Callers beyond this machine need keys, unless the operator says otherwise. */
async function refuseUnguarded({ host, insecure }: Config, keys: Keys): Promise<void> {
  if (insecure || isLoopback(host) || (await keys.inForce())) return;
  throw new Error(
    `--host ${host} can be reached from elsewhere, and there is no key that callers would need: make ` +
      "the first one with npm run keys -- create --name me --scopes admin, or listen on 127.0.0.1, " +
      "or add --insecure if everybody may do everything",
  );
}
