/**
 * TLS, at both ports and towards the store: reads certificates and keys, and says in one sentence what
 * is wrong with them.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { StoreTlsPaths, TlsPaths } from "./config.ts";

/** As `Bun.serve` and `node:tls` take it. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** With it, only clients with a certificate that it signed are let in. */
  readonly ca?: string;
  readonly requestCert?: true;
  readonly rejectUnauthorized?: true;
}

/** As `node:tls` takes it of a client. */
export interface ClientTls {
  /** Who is trusted; absent: whom the system trusts. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Throws an Error of one sentence. */
export async function readTls(paths: TlsPaths): Promise<TlsFiles> {
  const pair = await readPair("--tls", paths);
  if (paths.clientCa === undefined) return pair;
  const ca = await readCertificate("--tls-client-ca", paths.clientCa);
  return { ...pair, ca, requestCert: true, rejectUnauthorized: true };
}

/** Throws an Error of one sentence. */
export async function readClientTls({ ca, cert, key }: StoreTlsPaths): Promise<ClientTls> {
  const trusted = ca === undefined ? {} : { ca: await readCertificate("--store-ca", ca) };
  if (cert === undefined || key === undefined) return trusted;
  return { ...trusted, ...(await readPair("--store", { cert, key })) };
}

/** The flags begin alike. */
async function readPair(
  flags: string,
  paths: { readonly cert: string; readonly key: string },
): Promise<{ readonly cert: string; readonly key: string }> {
  const cert = await readCertificate(`${flags}-cert`, paths.cert);
  const key = await readPem(`${flags}-key`, paths.key);
  const privateKey = parse(`${flags}-key`, paths.key, "private key without a password", () => {
    return createPrivateKey(key);
  });
  if (!new X509Certificate(cert).checkPrivateKey(privateKey)) {
    throw new Error(`${flags}-key ${paths.key} is not the key of the certificate ${paths.cert}.`);
  }
  return { cert, key };
}

async function readCertificate(flag: string, path: string): Promise<string> {
  const text = await readPem(flag, path);
  parse(flag, path, "certificate", () => new X509Certificate(text));
  return text;
}

async function readPem(flag: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const reason = (error as { code?: string }).code === "ENOENT" ? "no such file" : error;
    throw new Error(`${flag} ${path} cannot be read: ${reason}.`);
  }
}

function parse<Parsed>(flag: string, path: string, what: string, read: () => Parsed): Parsed {
  try {
    return read();
  } catch {
    // What the parser says may quote the file.
    throw new Error(`${flag} ${path} holds no ${what} in PEM form.`);
  }
}
