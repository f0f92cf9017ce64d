/**
 * `bun run server keys …`: makes, lists and revokes keys. It calls a running server, or opens the
 * store itself where none runs: that is how the first key is made before a server may listen to
 * others.
 */

import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { checkJson } from "../api/rest/check.ts";
import { newKeySchema } from "../api/schemas.ts";
import { systemClock } from "../base/clock.ts";
import { defined } from "../base/defined.ts";
import type { Problem } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { isLoopback } from "../base/loopback.ts";
import { otherScheme } from "../base/other-scheme.ts";
import { readSecret } from "../config/settings.ts";
import { readClientTls } from "../config/tls.ts";
import { scopes } from "../model/key.ts";
import { readFirstKeySecret } from "../runtime/services/first-key.ts";
import { Keys, type NewKey } from "../runtime/services/keys.ts";
import { openStore } from "../store/open.ts";

const keyHint = "Give the key of an admin in ORCHY_KEY, or as --key @file.";

const help = `Usage: bun run server keys create --name <who> --scopes <${scopes.join(",")}> [--actions <a,b>]…
       bun run server keys list
       bun run server keys revoke <id>

  --actions <a,b>        for the scope worker: only these actions. It may be repeated; a comma inside a
                         name is written \\,
  --server <url>         a running server; with its key in ORCHY_KEY, or as --key @file, once there
                         are keys. The first one needs the secret that the server printed when it
                         started: in the same way, or by itself from beside the embedded store
  --tls-ca, --tls-cert, --tls-key <file>
                         for https: whom to trust, and the certificate to show
  --store <address>      the store itself (or ORCHY_STORE), while no server has it open; @file where
                         the address holds a password
  --store-ca, --store-cert, --store-key <file>
                         for a store over TLS: whom to trust, and the certificate to show
  --namespace <name>     of that store

Without --server and --store: the server on this machine's port 8080 (or ORCHY_HTTP_PORT) if there is
one, else the store sqlite:./data/orchy.db (or ORCHY_STORE).`;

const options = {
  name: { type: "string" },
  scopes: { type: "string" },
  actions: { type: "string", multiple: true },
  server: { type: "string" },
  key: { type: "string" },
  "tls-ca": { type: "string" },
  "tls-cert": { type: "string" },
  "tls-key": { type: "string" },
  store: { type: "string" },
  "store-ca": { type: "string" },
  "store-cert": { type: "string" },
  "store-key": { type: "string" },
  namespace: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

const defaultStore = "sqlite:./data/orchy.db";

type Flags = { readonly [Name in keyof Omit<typeof options, "actions">]?: string | boolean } & {
  readonly actions?: readonly string[];
};
type Environment = Readonly<Record<string, string | undefined>>;

interface KeyRow {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly actions?: readonly string[];
  readonly createdAt: number | string;
  readonly revokedAt?: number | string;
}

/** Where keys are kept: behind a server, or in a store that is open here. */
interface Desk {
  create(wanted: NewKey): Promise<{ readonly id: string; readonly text: string }>;
  list(): Promise<readonly KeyRow[]>;
  revoke(id: string): Promise<void>;
  close(): Promise<void>;
}

/** Its result ends the process; the text of a new key is alone on standard output. */
export async function runKeysCommand(argv: readonly string[], env: Environment): Promise<number> {
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true });
    if (values.help || positionals.length === 0) {
      console.log(help);
      return values.help ? 0 : 2;
    }
    const run = readCommand(values, positionals);
    const desk = await openDesk(values, env);
    try {
      await run(desk);
    } finally {
      await desk.close();
    }
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

/** All faults of the command itself are reported before anything is opened. */
function readCommand(flags: Flags, [command, ...rest]: readonly string[]) {
  const places = command === "revoke" ? 1 : 0;
  if (rest.length !== places) throw new Error(`The arguments are invalid.\n${help}`);
  switch (command) {
    case "create": {
      const wanted = readNewKey(flags);
      return (desk: Desk) => create(desk, wanted);
    }
    case "list":
      return list;
    case "revoke":
      return (desk: Desk) => revoke(desk, rest[0]!);
    default:
      throw new Error(`Unknown command: keys ${command}.\n${help}`);
  }
}

function readNewKey({ name = "", scopes = "", actions }: Flags): NewKey {
  const value = {
    name,
    scopes: String(scopes).split(",").filter(Boolean),
    ...defined({ actions: actions && readActions(actions) }),
  };
  const checked = checkJson(newKeySchema, value);
  if (checked.ok) return value as unknown as NewKey;
  const sentences = checked.problems.map(({ pointer, message }) => {
    return `--${pointer.split("/")[1]}: ${message}`;
  });
  throw new Error([...new Set(sentences)].join("\n"));
}

/** Names of actions may hold commas. */
function readActions(flags: readonly string[]): string[] {
  const names = flags.flatMap((flag) => flag.split(/(?<!\\),/));
  const unescaped = names.map((name) => name.replaceAll("\\,", ","));
  return [...new Set(unescaped)].filter(Boolean);
}

function showActions(names: readonly string[]): string {
  return names.map((name) => name.replaceAll(",", "\\,")).join(",");
}

async function create(desk: Desk, wanted: NewKey): Promise<void> {
  const { id, text } = await desk.create(wanted);
  console.error(
    `The key ${id} (${wanted.scopes.join(", ")}) is made. It is shown here and never again; callers ` +
      'send it as the header "Authorization: Bearer <key>".',
  );
  console.log(text);
}

async function list(desk: Desk): Promise<void> {
  const keys = await desk.list();
  if (keys.length === 0) console.log("There are no keys.");
  for (const { id, name, scopes, actions, createdAt, revokedAt } of keys) {
    const only = actions === undefined ? "" : ` for ${showActions(actions)}`;
    const end = revokedAt === undefined ? "" : `, revoked ${day(revokedAt)}`;
    console.log(`${id}  ${scopes.join(",")}${only}  ${name}  (made ${day(createdAt)}${end})`);
  }
}

async function revoke(desk: Desk, id: string): Promise<void> {
  await desk.revoke(id);
  const seconds = limits.keyFreshMs / 1000;
  console.log(`The key ${id} is revoked; within ${seconds} s every server refuses it.`);
}

function day(moment: number | string): string {
  return new Date(moment).toISOString().slice(0, 10);
}

async function openDesk(flags: Flags, env: Environment): Promise<Desk> {
  const { server } = flags;
  const store = secret("--store", flags.store);
  if (server !== undefined && store !== undefined) {
    throw new Error("Name --server or --store, not both.");
  }
  if (typeof server === "string") return serverDesk(server, flags, env);
  if (store !== undefined) return storeDesk(store, flags, env);
  const local = `http://127.0.0.1:${env.ORCHY_HTTP_PORT || 8080}`;
  const there = await fetch(`${local}/health/live`).catch(() => undefined);
  if (there?.ok) return serverDesk(local, flags, env);
  return storeDesk(secret("ORCHY_STORE", env.ORCHY_STORE) ?? defaultStore, flags, env);
}

/** Undefined for what is absent or empty. Throws when its file cannot be read. */
function secret(source: string, given: string | boolean | undefined): string | undefined {
  if (typeof given !== "string" || given === "") return undefined;
  const read = readSecret(given);
  if ("problem" in read) throw new Error(`${source}: ${read.problem}.`);
  return read.value;
}

async function storeDesk(address: string, flags: Flags, env: Environment): Promise<Desk> {
  if (address === "memory:") {
    throw new Error(
      "The store memory: exists only within its server. Name that server with --server.",
    );
  }
  const namespace = String(flags.namespace ?? env.ORCHY_NAMESPACE ?? "orchy");
  const paths = ["ca", "cert", "key"].flatMap((name) => {
    const path = flags[`store-${name}` as keyof Flags] ?? env[`ORCHY_STORE_${name.toUpperCase()}`];
    return typeof path === "string" && path !== "" ? [[name, path]] : [];
  });
  const tls = await readClientTls(Object.fromEntries(paths));
  const store = await openStore(address, { namespace, tls }).catch((error: Error) => {
    throw new Error(
      `${error.message} Ask a running server with --server <url>, its key in ORCHY_KEY.`,
    );
  });
  const keys = new Keys({ store, clock: systemClock });
  return {
    async create(wanted) {
      const { key, text } = await keys.create(wanted);
      return { id: key.id, text };
    },
    list: () => allPages((cursor) => keys.list({ limit: limits.listLimitMax, ...cursor })),
    async revoke(id) {
      await keys.revoke(id);
    },
    close: () => store.close(),
  };
}

async function serverDesk(address: string, flags: Flags, env: Environment): Promise<Desk> {
  if (!/^https?:\/\/[^/]+/.test(address) || !URL.canParse(address)) {
    throw new Error(`--server ${address}: must be an address such as http://127.0.0.1:8080.`);
  }
  const base = address.replace(/\/+$/, "");
  const key =
    secret("--key", flags.key) ?? secret("ORCHY_KEY", env.ORCHY_KEY) ?? localSecret(base, env);
  const tls = await readTlsFiles(flags);

  async function ask(method: string, path: string, body?: object): Promise<unknown> {
    const headers = {
      "content-type": "application/json",
      ...defined({ authorization: key && `Bearer ${key}` }),
    };
    const init = { method, headers, tls, ...defined({ body: body && JSON.stringify(body) }) };
    const response = await fetch(base + path, init).catch((error: Error) => {
      const { message } = error;
      const hint = otherScheme(new URL(base), message);
      throw new Error(`${base} cannot be reached: ${message}${hint}`);
    });
    const text = await response.text();
    if (response.ok) return text === "" ? undefined : JSON.parse(text);
    const hint = response.status === 401 ? ` ${keyHint}` : "";
    throw new Error((sentenceOf(text) ?? `${base}${path} answers ${response.status}.`) + hint);
  }

  return {
    async create(wanted) {
      const made = (await ask("POST", "/v1/keys", wanted)) as { id: string; key: string };
      return { id: made.id, text: made.key };
    },
    list: () =>
      allPages(async ({ cursor }) => {
        const after = cursor === undefined ? "" : `&cursor=${cursor}`;
        const path = `/v1/keys?limit=${limits.listLimitMax}${after}`;
        return (await ask("GET", path)) as { items: KeyRow[]; cursor?: string };
      }),
    async revoke(id) {
      await ask("DELETE", `/v1/keys/${encodeURIComponent(id)}`);
    },
    close: async () => {},
  };
}

/** What makes the first key at a server on this machine; no other server is shown it. */
function localSecret(base: string, env: Environment): string | undefined {
  const path = /^sqlite:(.+)$/s.exec(secret("ORCHY_STORE", env.ORCHY_STORE) ?? defaultStore)?.[1];
  const isHere = isLoopback(new URL(base).hostname.replace(/^\[|\]$/g, ""));
  return path !== undefined && isHere ? readFirstKeySecret(path) : undefined;
}

/** The server's own sentence, if it was Orchy that answered. */
function sentenceOf(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { error: { message: string; details: Problem[] } };
    return [error.message, ...error.details.map(({ message }) => message)].join(" ");
  } catch {
    return undefined;
  }
}

async function readTlsFiles(flags: Flags): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const name of ["ca", "cert", "key"] as const) {
    const path = flags[`tls-${name}`];
    if (typeof path === "string") files[name] = await readFile(path, "utf8");
  }
  return files;
}

async function allPages(
  read: (page: { cursor?: string }) => Promise<{ items: readonly KeyRow[]; cursor?: string }>,
): Promise<KeyRow[]> {
  const rows: KeyRow[] = [];
  let cursor: string | undefined;
  do {
    const page = await read(cursor === undefined ? {} : { cursor });
    rows.push(...page.items);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return rows;
}
