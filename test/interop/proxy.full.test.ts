/** The same scenario through nginx, which speaks TLS: gRPC to one port, Connect to the other. */
import { afterAll, beforeAll, describe } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { freePort } from "../support/ports.ts";
import { until } from "./support/desk.ts";
import { findKinds } from "./support/kinds.ts";
import { mustRun } from "./support/run.ts";
import { basicScenario, describeKind, skipped, testMs } from "./support/scenario.ts";
import { ServerProcess } from "./support/server-process.ts";
import { missing } from "./support/toolchains.ts";

/** One of each family; what differs within one does not concern a proxy. */
const names = [
  "Go with grpc-go",
  "Go with connect-go",
  "Python with grpcio",
  "Python with plain HTTP",
  "Java with grpc-java",
  "curl",
];

const absent = missing("nginx", "openssl");
if (absent !== undefined) {
  skipped("through nginx", absent);
} else {
  const kinds = (await findKinds()).filter(({ name }) => names.includes(name));

  describe("through nginx", () => {
    const ports = { grpc: freePort(), http: freePort() };
    let server: ServerProcess;
    let nginx: Subprocess | undefined;
    let authority = "";

    beforeAll(async () => {
      server = await ServerProcess.start();
      authority = await makeCertificate(server.folder);
      nginx = startProxy(server, ports);
      for (const port of [ports.grpc, ports.http]) await untilListening(port);
    }, testMs);
    afterAll(async () => {
      nginx?.kill("SIGTERM");
      await nginx?.exited;
      await server.remove();
    }, testMs);

    for (const kind of kinds) {
      describeKind(kind, () => {
        basicScenario(kind, () => ({
          server,
          trust: { authority },
          address: `localhost:${ports[kind.port]}`,
        }));
      });
    }
  });
}

/** Signed by itself; answers the file to trust. */
async function makeCertificate(folder: string): Promise<string> {
  const files = ["-keyout", join(folder, "key.pem"), "-out", join(folder, "certificate.pem")];
  const kind = ["-x509", "-newkey", "rsa:2048", "-noenc", "-days", "1"];
  const name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  await mustRun(["openssl", "req", ...kind, ...name, ...files]);
  return join(folder, "certificate.pem");
}

function startProxy(server: ServerProcess, ports: { grpc: number; http: number }): Subprocess {
  const folder = join(server.folder, "nginx");
  mkdirSync(folder);
  const configuration = join(folder, "nginx.conf");
  writeFileSync(configuration, configurationOf(server, folder, ports));
  return Bun.spawn(["nginx", "-e", "stderr", "-p", folder, "-c", configuration], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
  });
}

function configurationOf(
  server: ServerProcess,
  folder: string,
  ports: { grpc: number; http: number },
): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join("\n  ");
  return `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  ${temporary}
  ssl_certificate ${server.folder}/certificate.pem;
  ssl_certificate_key ${server.folder}/key.pem;
  client_max_body_size 16m;
  client_body_buffer_size 16m;
  proxy_max_temp_file_size 0;
  server {
    listen 127.0.0.1:${ports.grpc} ssl http2;
    location / {
      grpc_pass grpc://127.0.0.1:${server.grpcPort};
      # Polls wait for up to 60 s.
      grpc_read_timeout 70s;
    }
  }
  server {
    listen 127.0.0.1:${ports.http} ssl http2;
    location / {
      proxy_pass http://127.0.0.1:${server.httpPort};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_read_timeout 70s;
    }
  }
}
`;
}

async function untilListening(port: number): Promise<void> {
  await until(
    () =>
      Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } }).then(
        (socket) => {
          socket.end();
          return true;
        },
        () => false,
      ),
    (listens) => listens,
  );
}
