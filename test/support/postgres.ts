/**
 * A PostgreSQL server for a test: on a free port of loopback, in a temporary folder, stopped by its
 * process id. Where it is not installed, `postgresMissing` says so, and tests are skipped by that reason.
 */
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SQL } from "bun";
import { openPostgresStore, type PostgresOptions } from "../../src/store/postgres/open.ts";
import type { Issued } from "./certificates.ts";
import { freePort } from "./ports.ts";

/** In memory where that can be: disks may be busy. */
const folders = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** Debian keeps the programs of each version apart; the newest counts. */
const installed = "/usr/lib/postgresql";
const versions = existsSync(installed) ? readdirSync(installed).map(Number) : [];
const folder = join(installed, `${Math.max(0, ...versions)}`, "bin");
const programs = existsSync(join(folder, "initdb")) ? folder : undefined;

export const postgresMissing =
  programs === undefined ? "PostgreSQL is not installed: apt-get install postgresql" : undefined;

export interface PostgresServer {
  readonly port: number;
  readonly url: string;
  /** For statements of the test. */
  readonly client: SQL;
  /** All its processes at once, without a chance to tidy up. */
  kill(): Promise<void>;
  /** Again, with the same data, at the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** PostgreSQL refuses to run as root; the package comes with a user. */
const isRoot = process.getuid?.() === 0;
export const asUser = isRoot
  ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
  : [];

/** Who runs it. */
export function postgresUser(): number {
  return isRoot ? Number(Bun.spawnSync(["id", "-u", "postgres"]).stdout.toString()) : -1;
}

async function run(...command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { stdout: "pipe", stderr: "pipe" });
  const [out, said] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")}:\n${said}`);
  return out;
}

const retryMs = 20;
const startMsMax = 20_000;

interface PostgresOrigin {
  readonly tls?: Issued;
  /** It is a replica of that one, which streams to it. */
  readonly of?: PostgresServer;
  /** Folder of its programs; absent: those that are installed. */
  readonly bin?: string;
}

export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
  { tls, of, bin = programs }: PostgresOrigin = {},
): Promise<PostgresServer> {
  const home = mkdtempSync(join(folders, "orchy-postgres-"));
  const user = postgresUser();
  chownSync(home, user, -1);
  const data = join(home, "data");
  const program = (name: string) => [...asUser, join(bin as string, name), "-D", data];
  const role = ["-U", "postgres", "--no-sync"];
  if (of === undefined) {
    await run(...program("initdb"), ...role, "-A", "trust", "-E", "UTF8", "--locale", "C");
  } else {
    const from = ["-h", "127.0.0.1", "-p", `${of.port}`, "-R", "-c", "fast"];
    await run(...program("pg_basebackup"), ...role, ...from);
  }
  const port = freePort();
  const secured: Record<string, string> = {};
  for (const [name, text] of [
    ["ssl_cert_file", tls?.cert],
    ["ssl_key_file", tls?.key],
  ] as const) {
    if (text === undefined) continue;
    const path = join(data, name);
    writeFileSync(path, text, { mode: 0o600 });
    chownSync(path, user, -1);
    secured.ssl = "on";
    secured[name] = path;
  }
  const all: Readonly<Record<string, string>> = {
    port: `${port}`,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    shared_buffers: "64MB",
    // In its folder: one that is killed leaves nothing elsewhere.
    dynamic_shared_memory_type: "mmap",
    ...secured,
    ...settings,
  };
  const flags = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const client = new SQL({ url, max: 1 });
  const log = Bun.file(join(home, "log"));
  const spawn = () => Bun.spawn([...program("postgres"), ...flags], { stdout: log, stderr: log });
  let child: Bun.Subprocess | undefined;
  const start = async () => {
    const deadline = performance.now() + startMsMax;
    for (let started = spawn(); ; ) {
      const isUp = await client.unsafe("SELECT 1").then(
        () => true,
        () => false,
      );
      if (isUp) {
        child = started;
        return;
      }
      await Bun.sleep(retryMs);
      if (started.exitCode === null) continue;
      if (performance.now() > deadline) {
        throw new Error(`PostgreSQL did not start:\n${await log.text()}`);
      }
      // What a killed one shared with its processes is in use until the last of them has ended.
      started = spawn();
    }
  };
  const kill = async () => {
    if (child === undefined) return;
    const { pid } = child;
    const others = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
    for (const one of [pid, ...others.map(Number)]) {
      try {
        process.kill(one, "SIGKILL");
      } catch {
        // It has ended.
      }
    }
    await child.exited;
    child = undefined;
  };
  await start();
  return {
    port,
    url,
    client,
    kill,
    restart: start,
    async stop() {
      await client.close({ timeout: 0 });
      await kill();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

let namespaces = 0;

/** An empty store, in a separate namespace. */
export function openEmptyPostgres(url: string, options: Omit<PostgresOptions, "namespace">) {
  return openPostgresStore(url, { namespace: `test-${process.pid}-${++namespaces}`, ...options });
}
