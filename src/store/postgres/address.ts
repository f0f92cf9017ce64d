/** The URL of a PostgreSQL store, and how its `sslmode` is understood: as libpq does. */
import type { SQL } from "bun";
import type { ClientTls } from "../../config/tls.ts";

const sslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

export interface PostgresAddress {
  readonly url: string;
  /** `host:port`, for messages. */
  readonly host: string;
  readonly database: string;
  readonly sslMode: string;
}

/** Throws an Error of one sentence. */
export function readAddress(text: string): PostgresAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.host === "" || url.pathname.length < 2) {
    throw new Error(
      "The address of the PostgreSQL store is invalid; write postgres://USER@HOST:PORT/DATABASE.",
    );
  }
  const sslMode = url.searchParams.get("sslmode") ?? "disable";
  if (!sslModes.includes(sslMode)) {
    throw new Error(
      `There is no sslmode ${JSON.stringify(sslMode)} of PostgreSQL; use ${sslModes.join(", ")}.`,
    );
  }
  const database = decodeURIComponent(url.pathname.slice(1));
  return { url: text, host: url.host, database, sslMode };
}

/** What the client takes for the address. With an authority, `require` verifies as `verify-ca` does. */
export function clientOptions({ url, sslMode }: PostgresAddress, tls: ClientTls = {}): SQL.Options {
  const isEmpty = (tls.ca ?? tls.cert) === undefined;
  if (isEmpty || sslMode === "disable") return { url };
  const secured = new URL(url);
  const mode = sslMode === "require" && tls.ca !== undefined ? "verify-ca" : sslMode;
  secured.searchParams.set("sslmode", mode);
  return { url: secured.href, tls: { ...tls, rejectUnauthorized: mode.startsWith("verify") } };
}
