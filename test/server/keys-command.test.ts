/** `keys create | list | revoke` as a process, beside a server that runs and without one. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthority } from "../support/certificates.ts";
import { call, createWorker, startTestServer, type TestServer } from "../support/orchy.ts";

// Each test starts several processes.
setDefaultTimeout(120_000);

const main = new URL("../../src/main.ts", import.meta.url).pathname;
let folder: string;
let store: string;
const servers: TestServer[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "orchy-keys-"));
  store = `sqlite:${folder}/orchy.db`;
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
  rmSync(folder, { recursive: true });
});

async function keys(args: string, env: Record<string, string> = {}) {
  const command = [process.execPath, main, "keys", ...args.split(" ").filter(Boolean)];
  const child = Bun.spawn(command, { cwd: folder, env, stdout: "pipe", stderr: "pipe" });
  const [out, told, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out: out.trim(), told: told.trim(), code };
}

async function start(flags: string[] = []): Promise<TestServer> {
  const server = await startTestServer({ store, flags });
  servers.push(server);
  return server;
}

test("the first key is made before there is a server, and opens it to others", async () => {
  const first = await keys(`create --name me --scopes run --store ${store}`);
  expect([first.code, first.out]).toEqual([1, ""]);
  expect(first.told).toContain("must have the scope admin");
  const { out: key } = await keys(`create --name me --scopes admin --store ${store}`);
  expect(key).toMatch(/^orchy_[0-9a-f]{16}_[0-9a-f]{64}$/);

  const server = await start();
  const headers = { authorization: `Bearer ${key}` };
  expect((await call(server, "GET", "/v1/keys", undefined, headers)).status).toBe(200);
  expect((await call(server, "GET", "/v1/keys")).status).toBe(401);
});

test("while a server has the store, the command says so, and goes through that server", async () => {
  const server = await start();
  const locked = await keys(`list --store ${store}`);
  expect(locked.code).toBe(1);
  expect(locked.told).toContain("is in use by another Orchy server");
  expect(locked.told).toContain("--server <url>");
  writeFileSync(`${folder}/address`, `${store}\n`);
  expect((await keys("list --store @address")).told).toBe(locked.told);

  const at = `--server ${server.url}`;
  expect((await keys(`list ${at}`)).out).toBe("There are no keys.");
  const unproven = await keys(`create --name me --scopes admin ${at}`);
  expect([unproven.code, unproven.out]).toEqual([1, ""]);
  expect(unproven.told).toContain("the secret that this server printed when it started");
  // Beside the store it finds the secret.
  const beside = { ORCHY_STORE: store };
  const { out: key } = await keys(`create --name me --scopes admin ${at}`, beside);
  const refused = await keys(`list ${at}`);
  expect([refused.code, refused.out]).toEqual([1, ""]);
  expect(refused.told).toContain("a key with the scope admin");
  expect(refused.told).toEndWith("Give the key of an admin in ORCHY_KEY, or as --key @file.");

  const made = await keys(`create --name w --scopes worker --actions a,b ${at} --key ${key}`);
  const id = made.out.split("_")[1]!;
  writeFileSync(`${folder}/key`, `${key}\n`);
  expect((await keys(`list ${at} --key @key`)).out).toContain(id);
  expect((await keys(`list ${at} --key @none`)).told).toBe(
    "--key: cannot read none: no such file.",
  );
  const env = { ORCHY_KEY: key, ORCHY_HTTP_PORT: String(server.httpPort) };
  expect((await keys("list", env)).out).toContain(`${id}  worker for a,b  w`);
  const named = "--actions mail/send,é --actions x\\,y --actions é";
  await keys(`create --name n --scopes worker ${named} ${at} --key ${key}`);
  expect((await keys("list", env)).out).toContain("worker for mail/send,é,x\\,y  n");
  expect((await keys(`revoke ${id}`, env)).out).toContain(`${id} is revoked`);
  expect((await keys(`revoke ${"0".repeat(16)}`, env)).told).toContain("There is no key");
  const misspelt = await keys("revoke nosuch", env);
  expect([misspelt.code, misspelt.told]).toEqual([
    1,
    "The path is invalid. It must be the id of a key: 16 hexadecimal digits.",
  ]);
  expect((await keys("list", env)).out).toMatch(new RegExp(`${id} .*revoked \\d{4}-`));
});

test("the secret of the first key lies beside the store, for its owner and until it is over", async () => {
  const path = `${folder}/data/orchy.db`;
  const file = `${path}.first-key`;
  store = `sqlite:${path}`;
  mkdirSync(`${folder}/data`);
  // As a server that was killed, or somebody else, may have left it.
  symlinkSync(`${folder}/elsewhere`, file);
  const server = await start();
  expect(existsSync(`${folder}/elsewhere`)).toBe(false);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(file, "utf8").trim()).toBe(server.firstKeySecret!);
  const wrong = await keys(`create --name x --scopes admin --key orchy_first_${"0".repeat(64)}`, {
    ORCHY_HTTP_PORT: String(server.httpPort),
  });
  expect(wrong.code).toBe(1);
  expect(existsSync(file)).toBe(true);
  // All by default, in the folder of the server.
  const env = { ORCHY_HTTP_PORT: String(server.httpPort) };
  const { out: key } = await keys("create --name me --scopes admin", env);
  expect(key).toMatch(/^orchy_[0-9a-f]{16}_/);
  expect(existsSync(file)).toBe(false);
  expect((await keys("create --name me --scopes admin", env)).code).toBe(1);
});

test("a server that ends takes its secret with it; one that has keys makes none", async () => {
  const path = `${folder}/orchy.db`;
  const file = `${path}.first-key`;
  const first = await start();
  const { firstKeySecret } = first;
  await first.stop();
  servers.pop();
  expect(existsSync(file)).toBe(false);
  const second = await start();
  expect(second.firstKeySecret).not.toBe(firstKeySecret!);
  const at = `--server ${second.url}`;
  expect((await keys(`create --name x --scopes admin ${at} --key ${firstKeySecret}`)).code).toBe(1);
  // What was printed makes the first key, and one only.
  const printed = { ORCHY_KEY: second.firstKeySecret! };
  expect((await keys(`create --name me --scopes admin ${at}`, printed)).code).toBe(0);
  expect((await keys(`create --name me --scopes admin ${at}`, printed)).code).toBe(1);
  await second.stop();
  servers.pop();
  writeFileSync(file, "left over");
  const third = await start();
  expect([third.firstKeySecret, existsSync(file)]).toEqual([undefined, false]);
});

test("over TLS it trusts the authority that it is given", async () => {
  const authority = createAuthority();
  const { certPath, keyPath } = authority.issue("server");
  const server = await start(["--tls-cert", certPath, "--tls-key", keyPath]);
  const at = `--server https://127.0.0.1:${server.httpPort}`;
  expect((await keys(`list ${at}`)).told).toContain("cannot be reached");
  expect((await keys(`list ${at} --tls-ca ${authority.certPath}`)).out).toBe("There are no keys.");
  const { told } = await keys(`list ${at.replace("https", "http")}`);
  expect(told).toContain("cannot be reached");
  expect(told).toEndWith("(with TLS the address begins with https://)");
  // As for every program of the runtime.
  const env = { NODE_EXTRA_CA_CERTS: authority.certPath };
  expect((await keys(`list ${at}`, env)).out).toBe("There are no keys.");
  authority.remove();
});

test("wrong commands are refused in a sentence, before anything is opened", async () => {
  for (const [args, told] of [
    ["frob", "Unknown command: keys frob"],
    ["create --scopes admin", "--name: It must not be empty."],
    ["create --name x --scopes root", "--scopes: "],
    ["create --name x --scopes run --actions a", "narrows the scope worker"],
    ["list --nonsense", "--nonsense"],
    ["revoke", "The arguments are invalid"],
    ["list --store memory:", "exists only within its server"],
    ["list --server ftp://x", "must be an address such as"],
    [`list --store ${store} --server http://127.0.0.1:1`, "not both"],
  ] as const) {
    const refused = await keys(args, { ORCHY_HTTP_PORT: "1" });
    expect(refused.told).toContain(told);
    expect(refused.code).toBe(1);
  }
  expect((await keys("--help")).out).toContain("keys revoke <id>");
});

test("a worker shows its key, from its options or ORCHY_KEY; a wrong one ends its start", async () => {
  const { out: admin } = await keys(`create --name me --scopes admin --store ${store}`);
  const { out: key } = await keys(`create --name w --scopes worker --actions a --store ${store}`);
  const server = await start();
  const headers = { authorization: `Bearer ${admin}` };
  const definition = {
    name: "one",
    rootAction: 1,
    actions: [{ id: 1, type: "user", name: "a" }],
  };
  await call(server, "POST", "/v1/workflows", definition, headers);

  await expect(
    createWorker(server)
      .action("a", () => 1)
      .start(),
  ).rejects.toThrow(/scope worker.* from the option key, or from the variable ORCHY_KEY\.$/);
  const wrong = createWorker(server, { key }).action("b", () => 1);
  await expect(wrong.start()).rejects.toThrow("not for b");

  for (const transport of ["http1", "http2"]) {
    const worker = createWorker(server, { key, transport });
    // Heartbeats go over a separate connection, which needs the key as well.
    worker.action("a", async (_, { executionId, heartbeat }) => {
      heartbeat("here");
      const path = `/v1/executions/${executionId}`;
      for (;;) {
        const { body } = await call(server, "GET", path, undefined, headers);
        if (body.actions[0].attempts[0].progress === "here") return "done";
      }
    });
    await worker.start();
    const start = await call(
      server,
      "POST",
      "/v1/executions?wait=20",
      { workflow: "one" },
      headers,
    );
    expect(start.body).toMatchObject({ status: "COMPLETED", result: "done" });
    await worker.stop();
  }
  process.env.ORCHY_KEY = key;
  try {
    const worker = createWorker(server).action("a", () => 1);
    await worker.start();
    await worker.stop();
  } finally {
    delete process.env.ORCHY_KEY;
  }
});
