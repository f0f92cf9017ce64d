/**
 * Redis for the tests: installed where that is possible (Debian and its like, as root), otherwise
 * said to be missing. The tests that need it are then skipped, each with this reason.
 */

async function run(command: readonly string[]): Promise<boolean> {
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const child = Bun.spawn([...command], { stdout: "ignore", stderr: "ignore", env: environment });
  return (await child.exited) === 0;
}

async function install(): Promise<string | undefined> {
  const apt = Bun.which("apt-get");
  if (apt === null) return "there is no apt-get here to install it with";
  if (process.getuid?.() !== 0) return "only root can install it: apt-get install redis-server";
  const installed =
    (await run([apt, "update"])) && (await run([apt, "install", "-y", "redis-server"]));
  if (installed && Bun.which("redis-server") !== null) return undefined;
  return "apt-get could not install it";
}

/** Why there is no redis-server; undefined: there is one now. */
export async function ensureRedis(): Promise<string | undefined> {
  if (Bun.which("redis-server") !== null) return undefined;
  console.log("redis-server is not installed: installing it for the tests of the Redis store");
  return await install();
}
