/** Certificates for tests, made by openssl in a separate folder: an authority and what it signs. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Issued {
  /** Paths, and what is in them. */
  readonly certPath: string;
  readonly keyPath: string;
  readonly cert: string;
  readonly key: string;
}

export interface Authority extends Issued {
  readonly folder: string;
  /** For the address 127.0.0.1, or for what else is named. */
  issue(name: string, subject?: string): Issued;
  remove(): void;
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

function openssl(folder: string, ...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args], { cwd: folder, stderr: "pipe" });
  if (exitCode !== 0) throw new Error(stderr.toString());
}

export function createAuthority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), "orchy-tls-"));
  const issued = (name: string): Issued => {
    const [certPath, keyPath] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
    const [cert, key] = [readFileSync(certPath, "utf8"), readFileSync(keyPath, "utf8")];
    return { certPath, keyPath, cert, key };
  };
  const files = (name: string) => ["-keyout", `${name}.key`, "-subj", `/CN=${name}`];
  openssl(folder, "req", "-x509", ...newKey, ...files("ca"), "-out", "ca.pem", "-days", "2");
  return {
    ...issued("ca"),
    folder,
    issue(name, subject = "IP:127.0.0.1") {
      writeFileSync(join(folder, "names"), `subjectAltName=${subject}`);
      openssl(folder, "req", ...newKey, ...files(name), "-out", `${name}.csr`);
      const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
      const wanted = ["-in", `${name}.csr`, "-out", `${name}.pem`, "-extfile", "names"];
      openssl(folder, "x509", "-req", ...by, ...wanted, "-days", "2");
      return issued(name);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
