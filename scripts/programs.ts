/**
 * Programs that tests start: installed where that is possible (Debian and its like, as root), otherwise
 * said to be missing. The tests that need one are then skipped, each with this reason.
 */

/** Packages, a program of each, and what is skipped without it. */
const programs = [
  ["redis-server", "redis-server", "the tests of the Redis store"],
  ["postgresql", "pg_ctlcluster", "the tests of the PostgreSQL store"],
  ["pgbouncer", "pgbouncer", "the tests of PostgreSQL behind a pooler"],
  ["chromium", "chromium", "the tests of pages in a browser"],
] as const;

async function run(command: readonly string[]): Promise<boolean> {
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const child = Bun.spawn([...command], { stdout: "ignore", stderr: "ignore", env: environment });
  return (await child.exited) === 0;
}

async function install(name: string, program: string): Promise<string | undefined> {
  const apt = Bun.which("apt-get");
  if (apt === null) return "there is no apt-get here to install it with";
  if (process.getuid?.() !== 0) return `only root can install it: apt-get install ${name}`;
  const installed =
    (await run([apt, "update"])) &&
    (await run([apt, "install", "-y", "--no-install-recommends", name]));
  if (installed && Bun.which(program) !== null) return undefined;
  return "apt-get could not install it";
}

/** Installs what is missing and can be installed, and says what is skipped for the lack of the rest. */
export async function ensurePrograms(): Promise<void> {
  for (const [name, program, purpose] of programs) {
    if (Bun.which(program) !== null) continue;
    console.log(`${name} is not installed: installing it for ${purpose}`);
    const missing = await install(name, program);
    if (missing === undefined) continue;
    console.log(`SKIPPED ${purpose}: there is no ${name}; ${missing}.`);
  }
}
