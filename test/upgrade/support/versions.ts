/** Released versions of the server, built from the repository's own history. */
import { mkdtempSync, readFileSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "../../..");

export interface Release {
  readonly commit: string;
  /** The format of stored records (src/model/format.ts) that it writes. */
  readonly format: number;
}

/** Each has its fixtures in test/fixtures/format-<number>. */
export const releases: readonly Release[] = [
  { commit: "86f02f77a30d43abacb0698c626b9c114a7b7737", format: 2 },
];

export const fixtureFolder = ({ format }: Release): string =>
  join(root, "test/fixtures", `format-${format}`);

function git(...args: string[]): { readonly ok: boolean; readonly output: Buffer } {
  const { exitCode, stdout } = Bun.spawnSync(["git", "-C", root, ...args], { stderr: "ignore" });
  return { ok: exitCode === 0, output: stdout };
}

/** Why it cannot be built here; undefined: it can. */
export function releaseMissing({ commit }: Release): string | undefined {
  const name = commit.slice(0, 7);
  if (!git("cat-file", "-e", `${commit}^{commit}`).ok) {
    return `commit ${name} is not in this clone: git fetch --unshallow`;
  }
  const then = JSON.parse(git("show", `${commit}:package.json`).output.toString());
  const now = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const changed = Object.keys(then.dependencies).filter(
    (name) => then.dependencies[name] !== now.dependencies[name],
  );
  if (changed.length === 0) return undefined;
  return `commit ${name} needs other versions of ${changed.join(", ")} than are installed`;
}

/** Unpacks it into a separate folder, with the dependencies of this one. */
export function checkOut({ commit }: Release): string {
  const folder = mkdtempSync(join(tmpdir(), "orchy-release-"));
  const { output } = git("archive", commit, "package.json", "src");
  const { exitCode } = Bun.spawnSync(["tar", "-x", "-C", folder], { stdin: output });
  if (exitCode !== 0) throw new Error(`commit ${commit} could not be unpacked`);
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  return folder;
}
