/**
 * The secret that makes the first key, while a server needs no key: sending requests to the server
 * does not prove its owner, but seeing its output or its files does. It is made anew at each start,
 * is known to that server alone, and is worthless once a key exists.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { firstKeyPattern, formatFirstKeySecret, keySecretBytes } from "../../model/key.ts";
import { asError, type Logger } from "../../telemetry/log.ts";

/** Beside the file of an embedded store. */
const firstKeyFile = (storePath: string): string => `${storePath}.first-key`;

/** Undefined where no server without keys has that store open. */
export function readFirstKeySecret(storePath: string): string | undefined {
  try {
    const text = readFileSync(firstKeyFile(storePath), "utf8").trim();
    return firstKeyPattern.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}

/** For standard error, as the log knows no secrets. */
export function firstKeyNotice(secret: string): string {
  return (
    "No key exists yet, so every caller may do everything. Make the first one with npm run keys -- " +
    `create --name me --scopes admin, or over the network with this secret: ${secret}`
  );
}

export class FirstKey {
  readonly #file: string | undefined;
  readonly #log: Logger;
  #secret: string | undefined;

  /** `storePath`: of an embedded store. */
  constructor(options: { readonly storePath: string | undefined; readonly log: Logger }) {
    this.#file = options.storePath && firstKeyFile(options.storePath);
    this.#log = options.log;
  }

  /** Undefined: a key exists, or the server does not run. */
  get secret(): string | undefined {
    return this.#secret;
  }

  /** The secret is printed in any case, so a file that cannot be written prevents nothing. */
  begin(): void {
    this.#secret = formatFirstKeySecret(randomBytes(keySecretBytes).toString("hex"));
    if (this.#file === undefined) return;
    try {
      // A file that exists would keep its mode, and a link would lead elsewhere.
      rmSync(this.#file, { force: true });
      writeFileSync(this.#file, `${this.#secret}\n`, { mode: 0o600, flag: "wx" });
    } catch (error) {
      const path = this.#file;
      this.#log.warn("the secret of the first key could not be written to a file", {
        path,
        error: asError(error),
      });
    }
  }

  isProvenBy(text: string): boolean {
    const [sent, secret] = [Buffer.from(text), Buffer.from(this.#secret ?? "")];
    return secret.length > 0 && sent.length === secret.length && timingSafeEqual(sent, secret);
  }

  /** Also removes what a server that was killed has left. */
  end(): void {
    this.#secret = undefined;
    if (this.#file === undefined) return;
    try {
      rmSync(this.#file, { force: true });
    } catch (error) {
      this.#log.warn("the file of an obsolete secret could not be removed", {
        path: this.#file,
        error: asError(error),
      });
    }
  }
}
