/**
 * The lines of the log that say who changed what, and who was refused. None of the changes is
 * left out; refusals are counted where one address brings many.
 */
import type { Clock } from "../base/clock.ts";
import type { ErrorCode } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { Ration } from "../base/ration.ts";
import type { LogFields, Logger } from "../telemetry/log.ts";
import type { Caller, Sender } from "./caller.ts";

export interface Audit {
  /** A change that is done: what, to what and, where the caller has said it, why. */
  changed(by: Caller, what: string, target: string, reason?: string): void;
  /** `keyId`: of the key that was sent, if it was one. */
  refused(sender: Sender, code: ErrorCode, keyId: string | undefined): void;
}

/** `logs`: where each line goes. */
export function createAudit(logs: readonly Logger[], clock: Clock): Audit {
  const ration = new Ration(clock, {
    linesMax: limits.auditRefusalsMax,
    windowMs: limits.auditRefusalMs,
    keysMax: limits.auditAddressesMax,
  });

  function write(level: "info" | "warn", message: string, fields: LogFields): void {
    for (const log of logs) log[level](message, { audit: true, ...fields });
  }

  return {
    changed({ key, sender }, what, target, reason) {
      const address = sender.address();
      write("info", "changed by hand", { key: key?.id ?? "none", address, what, target, reason });
    },
    refused(sender, code, keyId) {
      const address = sender.address() ?? "unknown";
      const tell = (leftOut: number) =>
        write("warn", "refusals were left out", { address, leftOut });
      if (!ration.allows(address, tell)) return;
      write("warn", "refused", { key: keyId ?? "none", address, call: sender.call, code });
    },
  };
}
