/** PgBouncer in transaction mode before a PostgreSQL of a test: sessions share its few connections. */
import { chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SQL } from "bun";
import { freePort } from "./ports.ts";
import { asUser, type PostgresServer, postgresUser } from "./postgres.ts";

const program = Bun.which("pgbouncer", { PATH: `${process.env.PATH}:/usr/sbin` });

export const pgbouncerMissing =
  program === null ? "PgBouncer is not installed: apt-get install pgbouncer" : undefined;

const startMsMax = 10_000;

export interface Pooler {
  /** Of the store, by way of the pooler. */
  readonly url: string;
  stop(): Promise<void>;
}

export async function startPgbouncer(server: PostgresServer): Promise<Pooler> {
  const home = mkdtempSync(join(tmpdir(), "orchy-pgbouncer-"));
  const port = freePort();
  const users = join(home, "users");
  const settings = join(home, "settings");
  writeFileSync(users, '"postgres" ""\n');
  writeFileSync(
    settings,
    `[databases]
* = host=127.0.0.1 port=${server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
pool_mode = transaction
max_client_conn = 500
default_pool_size = 5
`,
  );
  for (const path of [home, users, settings]) chownSync(path, postgresUser(), -1);
  const log = Bun.file(join(home, "log"));
  const child = Bun.spawn([...asUser, program!, settings], { stdout: log, stderr: log });
  const url = server.url.replace(`:${server.port}/`, `:${port}/`);
  const client = new SQL({ url, max: 1, prepare: false });
  const deadline = performance.now() + startMsMax;
  for (let isUp = false; !isUp; ) {
    isUp = await client.unsafe("SELECT 1").then(
      () => true,
      () => false,
    );
    if (!isUp && performance.now() > deadline) {
      throw new Error(`PgBouncer did not start:\n${await log.text()}`);
    }
    if (!isUp) await Bun.sleep(20);
  }
  await client.close();
  return {
    url,
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(home, { recursive: true, force: true });
    },
  };
}
