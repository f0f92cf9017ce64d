/**
 * Redis over TLS and behind users: who is trusted, who is let in, and what is said to the others.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { ClientTls } from "../../src/config/tls.ts";
import { openRedisStore } from "../../src/store/redis/open.ts";
import { type Authority, createAuthority, type Issued } from "../support/certificates.ts";
import { freePort } from "../support/ports.ts";
import {
  type RedisServer,
  redisMissing,
  startLoneCluster,
  startRedis,
  startSentinel,
  tlsSettings,
} from "../support/redis.ts";
import { createRequest } from "./conformance/subject.ts";

/** Empty when the store can be used; else why not. */
async function refusal(url: string, tls: ClientTls = {}): Promise<string> {
  try {
    const options = { namespace: "n", partitions: 4, clockCheck: false, tls };
    const store = await openRedisStore(url, options);
    const { outcome } = await store.create(createRequest(`e-${crypto.randomUUID()}`));
    await store.close();
    return outcome === "created" ? "" : outcome;
  } catch (error) {
    return (error as Error).message;
  }
}

describe.skipIf(redisMissing !== undefined)("over TLS", () => {
  let ca: Authority;
  let strangers: Authority;
  let own: Issued;
  let trusting: ClientTls;
  const servers: RedisServer[] = [];

  beforeAll(() => {
    [ca, strangers] = [createAuthority(), createAuthority()];
    own = ca.issue("redis");
    trusting = { ca: ca.cert };
  });
  afterAll(async () => {
    for (const server of servers) await server.stop();
    ca.remove();
    strangers.remove();
  });

  /** Returns the port that speaks TLS. */
  async function startTls(issued: Issued, settings: Record<string, string> = {}) {
    const port = freePort();
    servers.push(await startRedis({ ...tlsSettings(port, issued, ca), ...settings }));
    return port;
  }

  test("a private authority is trusted when it is named, and nobody else is", async () => {
    const url = `rediss://127.0.0.1:${await startTls(own)}`;
    expect(await refusal(url, trusting)).toBe("");
    const named =
      /^Redis at [\d.:]+ cannot be used: its certificate is not trusted here.*--store-ca .*\.$/;
    expect(await refusal(url)).toMatch(named);
    expect(await refusal(url, { ca: strangers.cert })).toMatch(named);
  }, 120_000);

  test("a process that was told whom to trust by NODE_EXTRA_CA_CERTS trusts them", async () => {
    const url = `rediss://127.0.0.1:${await startTls(own)}`;
    const script = `
      import { openRedisStore } from ${JSON.stringify(require.resolve("../../src/store/redis/open.ts"))};
      const store = await openRedisStore(${JSON.stringify(url)}, { namespace: "env" });
      console.log(store.partitions);
      await store.close();`;
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: ca.certPath };
    const child = Bun.spawn([process.execPath, "-e", script], { env, stderr: "inherit" });
    expect((await new Response(child.stdout).text()).trim()).toBe("64");
  }, 120_000);

  test("a certificate for another name is refused", async () => {
    const port = await startTls(ca.issue("elsewhere", "DNS:redis.example"));
    const told = await refusal(`rediss://127.0.0.1:${port}`, trusting);
    expect(told).toMatch(
      /^Redis at [\d.:]+ cannot be used: its certificate is for another name .*\.$/,
    );
  }, 120_000);

  test("a Redis that asks for a certificate is shown one", async () => {
    const port = await startTls(own, { "tls-auth-clients": "yes" });
    const url = `rediss://127.0.0.1:${port}`;
    expect(await refusal(url, trusting)).toMatch(
      /cannot be used: .*--store-cert, --store-key .*\.$/,
    );
    const { cert, key } = ca.issue("orchy");
    expect(await refusal(url, { ...trusting, cert, key })).toBe("");
    const stranger = strangers.issue("stranger");
    const shown = { ...trusting, cert: stranger.cert, key: stranger.key };
    expect(await refusal(url, shown)).toMatch(/does not accept this server's certificate/);
  }, 120_000);

  test("who speaks TLS to a Redis that does not, or the other way round, is told", async () => {
    const port = await startTls(own);
    expect(await refusal(`redis://127.0.0.1:${port}`)).toMatch(/seems to speak TLS; .* rediss /);
    const plainPort = servers.at(-1)?.port;
    expect(await refusal(`rediss://127.0.0.1:${plainPort}`, trusting)).toMatch(/seem to speak TLS/);
  }, 120_000);

  test("a cluster is reached by the names that its certificates are made out to", async () => {
    const port = freePort();
    const issued = ca.issue("cluster", "DNS:localhost");
    const server = await startLoneCluster({
      ...tlsSettings(port, issued, ca),
      "tls-cluster": "yes",
      "cluster-announce-tls-port": `${port}`,
      "cluster-announce-hostname": "localhost",
      "cluster-preferred-endpoint-type": "hostname",
    });
    servers.push(server);
    const url = `rediss-cluster://localhost:${port}`;
    expect(await refusal(url, trusting)).toBe("");
    expect(await refusal(url)).toMatch(/its certificate is not trusted here/);
  }, 120_000);

  test("sentinels and the master that they know are reached over TLS", async () => {
    const masterPort = await startTls(own, { "tls-replication": "yes" });
    const port = freePort();
    const settings = { ...tlsSettings(port, own, ca), "tls-replication": "yes" };
    servers.push(await startSentinel(masterPort, { settings }));
    const url = `rediss-sentinel://127.0.0.1:${port}/main`;
    expect(await refusal(url, trusting)).toBe("");
    expect(await refusal(url)).toMatch(/its certificate is not trusted here/);
  }, 120_000);
});

describe.skipIf(redisMissing !== undefined)("a user", () => {
  let server: RedisServer;

  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  const setUser = (...rules: string[]) => server.client.call("ACL", "SETUSER", "orchy", ...rules);
  const urlOf = (password: string) => `redis://orchy:${password}@127.0.0.1:${server.port}`;

  test("is let in with its password, and needs only the keys and channels of its namespace", async () => {
    await setUser("on", ">p@ss:w/rd", "~n:*", "&n:*", "+@all", "-@dangerous");
    await setUser("+info", "+config|get");
    expect(await refusal(urlOf(encodeURIComponent("p@ss:w/rd")))).toBe("");
    const wrong = await refusal(urlOf("wrong"));
    expect(wrong).toMatch(/^Redis at [\d.:]+ cannot be used: WRONGPASS .*\.$/);
    expect(wrong).not.toContain(":wrong");
  }, 120_000);

  test("that may not run scripts, or not on these keys, is refused in one sentence", async () => {
    await setUser("reset", "on", ">secret", "~n:*", "&n:*", "+@all", "-fcall");
    expect(await refusal(urlOf("secret"))).toMatch(/NOPERM.*fcall/);
    await setUser("reset", "on", ">secret", "~n:*", "&n:*", "+@all", "-function");
    await server.client.call("FUNCTION", "FLUSH");
    expect(await refusal(urlOf("secret"))).toMatch(/NOPERM.*function/);
    await setUser("reset", "on", ">secret", "~other:*", "&*", "+@all");
    expect(await refusal(urlOf("secret"))).toMatch(/NOPERM/);
  }, 120_000);
});
