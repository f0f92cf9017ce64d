/** What a newcomer's shell is like, for tests that install something. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const root = join(import.meta.dirname, "..", "..");

/** The output of a command in the project's folder, or undefined where it fails. */
export function ask(...command: string[]): string | undefined {
  const { exitCode, stdout } = Bun.spawnSync(command, { cwd: root, stderr: "ignore" });
  return exitCode === 0 ? stdout.toString().trim() : undefined;
}

/** Why nothing can be installed here, if that is so. */
export function cannotInstall(): string | undefined {
  if (ask("npm", "view", "valibot", "version") !== undefined) return undefined;
  return "the registry of npm cannot be reached";
}

/** npm passes on as variables what it reads from this project's settings. */
function projectsSettings(): ReadonlySet<string> {
  const lines = readFileSync(join(root, ".npmrc"), "utf8").match(/^[\w-]+(?==)/gm) ?? [];
  return new Set(lines.map((name) => `npm_config_${name.replaceAll("-", "_")}`));
}

/** Without what npm told this process, and without the programs of this project. */
export function newcomersEnvironment(): Record<string, string> {
  const { PATH = "", ...others } = process.env;
  const settings = projectsSettings();
  const mine = Object.entries(others).filter(
    ([name, value]) =>
      value !== undefined &&
      !settings.has(name.toLowerCase()) &&
      !/^npm_(?!config_)|^ORCHY_|^BUN_/.test(name),
  );
  const paths = PATH.split(":").filter((path) => !path.includes("node_modules"));
  return { ...(Object.fromEntries(mine) as Record<string, string>), PATH: paths.join(":") };
}
