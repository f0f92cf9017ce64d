/** Why PostgreSQL cannot be connected to, and what the operator can do about it, in one sentence. */
import type { PostgresAddress } from "./address.ts";
import { stateOf } from "./faults.ts";

const trust = "Its certificate is not trusted here: name its authority with --store-ca";

/** By the code of the client, or by SQLSTATE. */
const advices: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: trust,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: trust,
  SELF_SIGNED_CERT_IN_CHAIN: trust,
  DEPTH_ZERO_SELF_SIGNED_CERT: trust,
  CERT_HAS_EXPIRED: "Its certificate has expired: renew it",
  ERR_TLS_CERT_ALTNAME_INVALID:
    "Its certificate is for another name: write that into --store, or use sslmode=verify-ca",
  ERR_POSTGRES_TLS_NOT_AVAILABLE: "It does not speak TLS: turn its ssl on, or use sslmode=disable",
  "28P01": "Correct the role or the password in --store",
  "28000": "Correct the role in --store, or let it in with a line of pg_hba.conf",
  "3D000": "Create the database, with ENCODING 'UTF8', or correct its name in --store",
  "42501": "Let the role in: GRANT CONNECT ON DATABASE",
  "53300": "Raise its max_connections: a server opens 11",
};

const otherwise = "Check the host and the port in --store, and whether it runs";

export function connectFault({ host, database }: PostgresAddress, error: unknown): Error {
  const { message, code = "" } = error as { readonly message: string; readonly code?: string };
  const state = stateOf(error);
  const advice = advices[state ?? code] ?? otherwise;
  const reason = `${message.replace(/\.$/, "")}${state === undefined ? "" : ` (${state})`}`;
  return new Error(
    `The database ${database} of PostgreSQL at ${host} cannot be used: ${reason}. ${advice}.`,
    { cause: error },
  );
}
