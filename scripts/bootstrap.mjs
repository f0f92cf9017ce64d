/**
 * Runs Bun with the arguments given: `node scripts/bootstrap.mjs scripts/start.ts`. It needs nothing
 * but Node.js and npm: what the project depends on, Bun among it, is installed first where missing.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
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

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

function arePresent(dependencies) {
  return Object.keys(dependencies).every((name) => existsSync(join(root, "node_modules", name)));
}

/** npm writes this file last, so an interrupted installation is begun again. */
function isUpToDate() {
  const written = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(written)) return false;
  return statSync(written).mtimeMs >= statSync(join(root, "package-lock.json")).mtimeMs;
}

function runNpm(...args) {
  const npm = process.env.npm_execpath;
  const all = [...args, "--no-fund", "--no-audit", "--loglevel=error"];
  return npm?.endsWith(".js") ? run(process.execPath, [npm, ...all]) : run("npm", all);
}

/** Without `dev`: what a server needs; with it, also what builds and tests it. */
function installDependencies(dev) {
  const hasDev = arePresent(manifest.devDependencies);
  const isEnough = arePresent(manifest.dependencies) && (hasDev || !dev);
  if (isUpToDate() && isEnough) return;
  console.error("Installing dependencies ...");
  // What was installed for development once stays so.
  const lean = dev || hasDev ? [] : ["--omit=dev"];
  const clean = runNpm("ci", ...lean);
  if (clean.ok) return;
  // npm ci refuses a lock file without the optional packages of other platforms, which is what npm
  // writes where it cannot see them. Versions and checksums are the lock file's here too.
  if (!clean.output.includes("EUSAGE")) fail(`${clean.output}\n${cannotInstall}`);
  console.error("npm ci refuses package-lock.json: installing with npm install --no-save.");
  const installed = runNpm("install", "--no-save", ...lean);
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

// npm hands signals to the shell between us, which dies of them and tells nobody.
const parent = process.ppid;
const isLeftAlone = () => process.ppid !== parent;

const args = process.argv.slice(2);
const dev = args[0] === "--dev";
installDependencies(dev);
placeBun();
if (isLeftAlone()) process.exit(128 + constants.signals.SIGTERM);

const child = spawn(bun, args.slice(dev ? 1 : 0), { stdio: "inherit" });
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) {
  // A terminal sends its signals to the child too; sent again they would count twice there.
  process.on(signal, () => {
    if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
  });
}
setInterval(() => {
  if (isLeftAlone()) child.kill("SIGTERM");
}, 500).unref();
child.on("error", (error) => fail(`Bun cannot be run: ${error.message}`));
child.on("exit", (code, signal) => {
  process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
});
