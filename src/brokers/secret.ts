/**
 * References to secrets, so that no address holds one: `env:NAME` is what that variable of the
 * server's environment holds, `file:PATH` what that file holds.
 */
import { readFile } from "node:fs/promises";

export function isSecretReference(text: string): boolean {
  return /^env:[A-Za-z_]\w*$/.test(text) || /^file:./.test(text);
}

/** Read at each use, so that a secret that is rotated is taken up. Throws an Error of one sentence. */
export async function readReference(reference: string): Promise<string> {
  const [kind, name] = [reference.slice(0, reference.indexOf(":")), reference.slice(5).trim()];
  if (kind === "file") {
    return readFile(name, "utf8").then(
      (text) => text.trim(),
      (error: Error) => {
        throw new Error(`cannot read the secret in ${name}: ${error.message}`);
      },
    );
  }
  const variable = reference.slice("env:".length);
  const value = process.env[variable];
  if (!value) throw new Error(`the variable ${variable}, which holds a secret, is not set`);
  return value;
}
