/** What a newcomer does: clones the repository, starts a server, runs a test. */
import { afterAll, expect, test } from "bun:test";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ask, cannotInstall, newcomersEnvironment, root } from "./support/newcomer.ts";

const place = mkdtempSync(join(tmpdir(), "orchy-clone-"));
const clone = join(place, "orchy");
// Hundreds of megabytes.
afterAll(() => rmSync(place, { recursive: true, force: true }), 120_000);

const missing =
  ask("git", "rev-parse", "HEAD") === undefined
    ? "this is no clone of a repository"
    : cannotInstall();

function run(...command: string[]) {
  const options = { cwd: clone, env: newcomersEnvironment() };
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, options);
  return { exitCode, output: `${stdout}${stderr}` };
}

const installed = (name: string): boolean => existsSync(join(clone, "node_modules", name));

async function newcomer(): Promise<void> {
  expect(ask("git", "clone", "-q", root, clone)).toBe("");

  // A start installs what a server needs, and nothing else.
  const flags = ["--http-port", "0", "--grpc-port", "0", "--store", "memory:"];
  const server = Bun.spawn(["npm", "start", "--", ...flags], {
    cwd: clone,
    env: newcomersEnvironment(),
    stdout: "pipe",
    stderr: "pipe",
  });
  // Read to its end: a server that finds nobody there to write to cannot say that it stops.
  const { promise: ready, resolve } = Promise.withResolvers<string>();
  const reading = (async () => {
    let output = "";
    for await (const chunk of server.stdout) {
      output += new TextDecoder().decode(chunk);
      if (output.includes("Ctrl-C stops")) resolve(output);
    }
    resolve(output);
  })();
  const output = await ready;
  const url = /Orchy is at (\S+)/.exec(output)?.[1];
  expect((await fetch(`${url}/health/ready`)).status).toBe(200);
  server.kill("SIGTERM");
  await reading;
  expect(await new Response(server.stderr).text()).not.toContain("npm install");
  expect([installed("ioredis"), installed("@biomejs/biome")]).toEqual([true, false]);
  expect(run("npm", "ls", "typescript", "--omit=dev").output).toContain("(empty)");

  // A test installs what is missing.
  const tested = run("npm", "test", "--", "test/base/nearest.test.ts");
  expect(tested).toMatchObject({ exitCode: 0, output: expect.stringContaining(" 0 failed") });
  expect([installed("@biomejs/biome"), installed("typescript")]).toEqual([true, false]);
}

/** As npm writes it on a machine that cannot see the packages of others. */
function refusedLock(): void {
  const path = join(clone, "package-lock.json");
  const lock = JSON.parse(readFileSync(path, "utf8"));
  delete lock.packages["node_modules/bun/node_modules/@oven/bun-windows-x64"];
  writeFileSync(path, JSON.stringify(lock));
  appendFileSync(join(clone, ".npmrc"), "\nprefer-offline=true\n");
  const { exitCode, output } = run("npm", "run", "server", "--", "--help");
  expect(exitCode).toBe(0);
  expect(output).toContain("npm ci refuses package-lock.json");
  expect(output).toContain("--http-port");
}

for (const [title, body] of [
  ["a fresh clone starts lean, and is completed by its first test", newcomer],
  ["a lock file that npm ci refuses is installed all the same, and it says so", refusedLock],
] as const) {
  if (missing === undefined) test(title, body, 400_000);
  else test.skip(`${title} (${missing})`, () => {});
}
