/** Folders that live as long as a test. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "orchy-test-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
