/**
 * Runs Bun with the arguments given: `node scripts/bootstrap.mjs scripts/start.ts`. It needs nothing
 * but Node.js and npm: what the project depends on, Bun among it, is installed first where missing.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(fileURLToPath(import.meta.url), "..", "..");
const bun = join(root, "node_modules", ".bin", process.platform === "win32" ? "bun.exe" : "bun");

const cannotInstall = "The dependencies could not be installed.";

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, encoding: "utf8", shell: false });
  const output = `${result.stdout ?? ""}${result.stderr ?? ""}${result.error ?? ""}`.trim();
  return { ok: result.status === 0, output };
}

/** npm writes this file last, so an interrupted installation is begun again. */
function isInstalled() {
  const written = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(written)) return false;
  return statSync(written).mtimeMs >= statSync(join(root, "package-lock.json")).mtimeMs;
}

function runNpm(...args) {
  const npm = process.env.npm_execpath;
  const all = [...args, "--no-fund", "--no-audit", "--loglevel=error"];
  return npm?.endsWith(".js") ? run(process.execPath, [npm, ...all]) : run("npm", all);
}

function installDependencies() {
  if (isInstalled()) return;
  console.error("Installing dependencies ...");
  // Not npm ci: it refuses a lock file without the optional packages of other platforms, which
  // is what npm writes where it cannot see them. Versions and checksums are the lock file's here too.
  const installed = runNpm("install", "--no-save");
  if (!installed.ok) fail(`${installed.output}\n${cannotInstall}`);
}

/** Where npm runs no install scripts, the binary that Bun's would have put in place is missing. */
function placeBun() {
  if (run(bun, ["--version"]).ok) return;
  console.error("Putting Bun in place ...");
  const result = run(process.execPath, [join(root, "node_modules", "bun", "install.js")]);
  const check = run(bun, ["--version"]);
  if (!check.ok) fail(`${result.output}\n${check.output}\nBun cannot be run on this machine.`);
}

installDependencies();
placeBun();

const child = spawn(bun, process.argv.slice(2), { stdio: "inherit" });
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) {
  // A terminal sends its signals to the child too; sent again they would count twice there.
  process.on(signal, () => {
    if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
  });
}
// npm hands signals to the shell between us, which dies of them and tells nobody.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) child.kill("SIGTERM");
}, 500).unref();
child.on("error", (error) => fail(`Bun cannot be run: ${error.message}`));
child.on("exit", (code, signal) => {
  process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
});
