/** TLS at both ports: reads certificate and key, and says in one sentence what is wrong with them. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { TlsPaths } from "../config.ts";

/** As `Bun.serve` and `node:tls` take it. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** With it, only clients with a certificate that it signed are let in. */
  readonly ca?: string;
  readonly requestCert?: true;
  readonly rejectUnauthorized?: true;
}

/** Throws an Error of one sentence. */
export async function readTls(paths: TlsPaths): Promise<TlsFiles> {
  const cert = await readPem("--tls-cert", paths.cert);
  const key = await readPem("--tls-key", paths.key);
  const certificate = parse("--tls-cert", paths.cert, "certificate", () => {
    return new X509Certificate(cert);
  });
  const privateKey = parse("--tls-key", paths.key, "private key without a password", () => {
    return createPrivateKey(key);
  });
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new Error(`--tls-key ${paths.key} is not the key of the certificate ${paths.cert}.`);
  }
  if (paths.clientCa === undefined) return { cert, key };
  const ca = await readPem("--tls-client-ca", paths.clientCa);
  parse("--tls-client-ca", paths.clientCa, "certificate", () => new X509Certificate(ca));
  return { cert, key, ca, requestCert: true, rejectUnauthorized: true };
}

async function readPem(flag: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const reason = (error as { code?: string }).code === "ENOENT" ? "there is no such file" : error;
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
