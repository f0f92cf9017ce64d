/** The same scenario over the server's own TLS, with and without certificates of clients. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Authority, createAuthority, type Issued } from "../support/certificates.ts";
import { findKinds } from "./support/kinds.ts";
import { basicScenario, describeKind, skipped, testMs } from "./support/scenario.ts";
import { ServerProcess } from "./support/server-process.ts";
import { missing } from "./support/toolchains.ts";

/** Each library, by each protocol that it has. */
const names = [
  "Go with grpc-go",
  "Go with connect-go",
  "Go with connect-go, JSON over HTTP/1.1",
  "Python with grpcio",
  "Python with plain HTTP",
  "Java with grpc-java",
  "curl",
];

const absent = missing("openssl");
if (absent !== undefined) skipped("over TLS", absent);
else {
  const kinds = (await findKinds()).filter(({ name }) => names.includes(name));
  for (const mutual of [false, true]) {
    describe(mutual ? "over mutual TLS" : "over TLS", () => scenario(kinds, mutual));
  }
}

function scenario(kinds: Awaited<ReturnType<typeof findKinds>>, mutual: boolean): void {
  let authority: Authority;
  let client: Issued;
  let server: ServerProcess;

  beforeAll(async () => {
    authority = createAuthority();
    client = authority.issue("client");
    const own = authority.issue("server");
    const clientCa = mutual ? ["--tls-client-ca", authority.certPath] : [];
    server = await ServerProcess.start(undefined, {
      flags: ["--tls-cert", own.certPath, "--tls-key", own.keyPath, ...clientCa],
      tls: { ca: authority.cert, ...(mutual && { cert: client.cert, key: client.key }) },
    });
  }, testMs);
  afterAll(async () => {
    await server?.remove();
    authority?.remove();
  }, testMs);

  for (const kind of kinds) {
    const addressOf = () => `127.0.0.1:${kind.port === "http" ? server.httpPort : server.grpcPort}`;
    describeKind(kind, () => {
      basicScenario(kind, () => ({
        server,
        address: addressOf(),
        trust: {
          authority: authority.certPath,
          ...(mutual && { own: [client.certPath, client.keyPath] as const }),
        },
      }));
      if (!mutual) return;
      test(
        "is not let in without a certificate",
        async () => {
          const stranger = await kind.open(addressOf(), { authority: authority.certPath });
          const { error } = await stranger.call("Poll", { actions: ["a"] }, { timeoutMs: 5_000 });
          await stranger.close();
          expect(error).toBeDefined();
        },
        testMs,
      );
    });
  }
}
