/** Flags and environment variables, as an operator meets them. */

import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { type Config, parseConfig } from "../../src/config/config.ts";

function read(argv: string[], env: Record<string, string> = {}): Config {
  const parsed = parseConfig(argv, env);
  if (!("ok" in parsed) || !parsed.ok) throw new Error(JSON.stringify(parsed));
  return parsed.config;
}

function problems(argv: string[], env: Record<string, string> = {}): readonly string[] {
  const parsed = parseConfig(argv, env);
  return "ok" in parsed && !parsed.ok ? parsed.problems : [];
}

test("without flags, the defaults are those that are documented", () => {
  const { nodeName, scriptProcesses, ...config } = read([]);
  expect(nodeName).not.toBe("");
  expect(scriptProcesses).toBe(Math.min(availableParallelism(), 16));
  expect(config).toEqual({
    host: "127.0.0.1",
    httpPort: 8080,
    grpcPort: 8099,
    store: { kind: "sqlite", path: "./data/orchy.db" },
    storeTls: {},
    namespace: "orchy",
    insecure: false,
    allowedHosts: [],
    corsOrigins: [],
    httpAllow: [],
    keepRetention: false,
    formatDelaySeconds: 600,
    tombstoneSeconds: 86_400,
    logLevel: "info",
  });
});

test("every flag can be given, in both forms", () => {
  const argv = "--host 0.0.0.0 --http-port=0 --grpc-port 0 --store rediss://h:1 --namespace blue";
  const more = "--partitions 8 --advertise a.example:99 --node-name n1 --insecure";
  const tls = "--tls-cert c.pem --tls-key k.pem --tls-client-ca ca.pem";
  const last = "--cors-origin https://a.example,http://b:1 --legacy-workers OPEN --log-level=debug";
  const storeTls = "--store-ca sca.pem --store-cert sc.pem --store-key sk.pem";
  const kept = `--keep-retention --format-delay 60 --tombstone-seconds 600 ${storeTls}`;
  const http = "--http-allow *.example.com,10.0.0.0/8";
  const later = "--audit-log a.log --allowed-hosts orchy.example,b --script-processes 3";
  const legacy = "--legacy-port 0 --legacy-host ::1 --legacy-advertise b.example:1";
  expect(
    read(`${argv} ${more} ${tls} ${last} ${http} ${legacy} ${later} ${kept}`.split(" ")),
  ).toEqual({
    host: "0.0.0.0",
    httpPort: 0,
    grpcPort: 0,
    store: { kind: "redis", url: "rediss://h:1" },
    storeTls: { ca: "sca.pem", cert: "sc.pem", key: "sk.pem" },
    namespace: "blue",
    partitions: 8,
    advertise: "a.example:99",
    nodeName: "n1",
    insecure: true,
    tls: { cert: "c.pem", key: "k.pem", clientCa: "ca.pem" },
    allowedHosts: ["orchy.example", "b"],
    corsOrigins: ["https://a.example", "http://b:1"],
    httpAllow: ["*.example.com", "10.0.0.0/8"],
    legacyWorkers: "open",
    legacy: { host: "::1", port: 0, advertise: "b.example:1" },
    auditLog: "a.log",
    keepRetention: true,
    formatDelaySeconds: 60,
    tombstoneSeconds: 600,
    scriptProcesses: 3,
    logLevel: "debug",
  });
});

test("environment variables stand in for flags, and flags win", () => {
  const env = {
    ORCHY_HTTP_PORT: "1000",
    ORCHY_GRPC_PORT: "1001",
    ORCHY_INSECURE: "1",
    ORCHY_STORE: "",
  };
  const config = read(["--http-port", "2000"], env);
  expect(config).toMatchObject({ httpPort: 2000, grpcPort: 1001, insecure: true });
  expect(config.store.kind).toBe("sqlite");
  expect(read(["--insecure=false"], env).insecure).toBe(false);
});

test("stores are told apart by their scheme", () => {
  expect(read(["--store", "redis://h:1/0"]).store).toEqual({ kind: "redis", url: "redis://h:1/0" });
  for (const scheme of ["rediss", "redis-cluster", "rediss-cluster", "redis-sentinel"]) {
    const url = `${scheme}://a:1`;
    expect(read(["--store", url]).store).toEqual({ kind: "redis", url });
  }
  const dynamodb = { kind: "dynamodb", url: "dynamodb://eu-west-1/orchy" } as const;
  expect(read(["--store", dynamodb.url]).store).toEqual(dynamodb);
  const endpoint = "http://localhost:8000";
  expect(read(["--dynamodb-endpoint", endpoint]).dynamodbEndpoint).toBe(endpoint);
  expect(read(["--store", "sqlite:/tmp/x y.db"]).store).toEqual({
    kind: "sqlite",
    path: "/tmp/x y.db",
  });
});

test("traces are sent where Orchy's own variables say, or those that others read, too", () => {
  const standard = {
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://a:4318/",
    OTEL_EXPORTER_OTLP_HEADERS: "x-key=a%20b,x-team = two",
    OTEL_SERVICE_NAME: "shop",
  };
  const headers = { "x-key": "a b", "x-team": "two" };
  const url = "http://a:4318/v1/traces";
  expect(read([], standard).tracing).toEqual({ url, headers, serviceName: "shop", ratio: 1 });
  const own = { ...standard, ORCHY_OTLP_ENDPOINT: "https://b/otlp", ORCHY_TRACE_RATIO: "0.25" };
  expect(read([], own).tracing).toMatchObject({ url: "https://b/otlp/v1/traces", ratio: 0.25 });
  expect(read(["--otlp-endpoint", "http://c/v1/traces"], own).tracing?.url).toBe(
    "http://c/v1/traces",
  );
  expect(problems([], { OTEL_EXPORTER_OTLP_ENDPOINT: "a:b" })[0]).toStartWith("OTEL_EXPORTER_");
});

const refused: readonly [string[], string][] = [
  [["--http-port", "70000"], `--http-port "70000": must be a whole number from 0 to 65535.`],
  [["--http-port", "-1"], "whole number"],
  [["--http-port", "80a"], "whole number"],
  [["--http-port", ""], "whole number"],
  [["--http-port"], "--http-port needs a value."],
  [["--http-port", "--insecure"], "--http-port needs a value."],
  [["--http-port", "1", "--http-port", "2"], "given twice"],
  [["--http-prt", "1"], "Unknown flag --http-prt; did you mean --http-port?"],
  [["--quantum-entanglement"], "--help lists"],
  [["--__proto__", "1"], "Unknown flag --__proto__"],
  [["-p", "1"], "Unknown flag -p"],
  [["--redis-address", "a:1"], "--redis-address is a flag of the Go server: use --store redis://"],
  [["--redis-addr", "a:1"], "--redis-addr is a flag of the Go server: use --store redis://"],
  [["--storage-impl=redis"], "the address in --store says it"],
  [["--constructor", "1"], "Unknown flag --constructor"],
  [["8080"], `"8080" is not a flag`],
  [["--store", "mysql://x"], "must be sqlite:<file>"],
  [["--store", "sqlite:"], "must be sqlite:<file>"],
  [["--dynamodb-endpoint", "localhost:8000"], "must be a URL such as http://localhost:8000"],
  [["--partitions", "0"], "from 1 to 4096"],
  [["--namespace", "A B"], "a-z"],
  [["--advertise", "nohost"], "host:port"],
  [["--advertise", "h:0"], "host:port"],
  [["--legacy-workers", "all"], "one of loopback, mtls, open"],
  [["--log-level", "loud"], "one of debug"],
  [["--insecure=maybe"], "true or false"],
  [["--tls-cert", "c.pem"], "both --tls-cert and --tls-key"],
  [["--tls-client-ca", "c.pem"], "both --tls-cert and --tls-key"],
  [["--store", "rediss://h", "--store-cert", "c.pem"], "both --store-cert and --store-key"],
  [["--store", "redis://h", "--store-ca", "c.pem"], "for a store over TLS"],
  [["--store-ca", "c.pem"], "for a store over TLS"],
  [["--legacy-workers", "mtls"], "needs --tls-client-ca"],
  [["--allowed-hosts", "a.example:80"], "without ports"],
  [["--allowed-hosts", "*"], "must be names"],
  [["--cors-origin", "*"], "must be origins"],
  [["--cors-origin", "https://a.example/"], "must be origins"],
  [["--host", "http://x"], "without a port"],
  [["--otlp-endpoint", "localhost:4318"], "address of a collector"],
  [["--otlp-headers", "secret"], "--otlp-headers: must be name=value"],
  [["--trace-ratio", "2"], "from 0 to 1"],
  [["--http-port", "1", "--grpc-port", "1"], "must differ"],
  [["--legacy-port", "8099"], "--grpc-port and --legacy-port are both 8099 of 127.0.0.1"],
  [["--legacy-port", "8080"], "--http-port and --legacy-port are both 8080 of 127.0.0.1"],
  [["--legacy-advertise", "a:1"], "for --legacy-port, which is not set"],
  [["--legacy-host", "a"], "for --legacy-port, which is not set"],
  [["--legacy-port", "x"], "whole number"],
  [
    "--tls-cert c --tls-key k --tls-client-ca a --legacy-workers mtls --legacy-port 1".split(" "),
    "serves nobody at --legacy-port",
  ],
];
test.each(refused)("%p is refused in a sentence", (argv, told) => {
  const found = problems(argv);
  expect(found.join("\n")).toContain(told);
});

const numeric: readonly [flag: string, range: string][] = [
  ["http-port", "a whole number from 0 to 65535"],
  ["grpc-port", "a whole number from 0 to 65535"],
  ["legacy-port", "a whole number from 0 to 65535"],
  ["partitions", "a whole number from 1 to 4096"],
  ["format-delay", "a whole number from 0 to 999999999"],
  ["tombstone-seconds", "a whole number from 600 to 31622400"],
  ["script-processes", "a whole number from 1 to 256"],
  ["trace-ratio", "a number from 0 to 1"],
];
const noNumbers = [
  ...["1e3", "1e400", "-0", "-1", "+5", "0x10", " 80", "80 ", "1_000", "1,000", "NaN", "Infinity"],
  ...["1.5", "0.00000000000000000001", "99999999999", "9007199254740993", "9".repeat(400), "٣"],
];

test.each(numeric)("--%s takes no number but %s", (flag, range) => {
  const variable = `ORCHY_${flag.toUpperCase().replaceAll("-", "_")}`;
  for (const text of noNumbers) {
    const shown = `${JSON.stringify(text.slice(0, 100))}: must be ${range}.`;
    expect(problems([`--${flag}=${text}`])).toEqual([`--${flag} ${shown}`]);
    expect(problems([], { [variable]: text })).toEqual([`${variable} ${shown}`]);
  }
});

test("every flag that takes a number is among those", () => {
  const help = parseConfig(["--help"], {});
  const text = "print" in help ? help.print : "";
  const found = [...text.matchAll(/--([a-z-]+) <(?:port|count|seconds|share)>/g)];
  expect(found.map(([, flag]) => flag).sort()).toEqual(numeric.map(([flag]) => flag).sort());
});

test.each([
  ["chaos.ts --seconds 1e3", `--seconds "1e3": must be a whole number from 1 to 86400.`],
  ["soak.ts --rate=-0", `--rate "-0": must be a number from 0.1 to 10000.`],
  ["simulate.ts --minutes 1e400", `--minutes "1e400": must be a number from 0 to 10080.`],
])("a script refuses its numbers alike: %s", async (command, problem) => {
  const [script, ...flags] = command.split(" ");
  const path = new URL(`../../scripts/${script}`, import.meta.url).pathname;
  const child = Bun.spawn([process.execPath, path, ...flags], { stderr: "pipe", stdout: "ignore" });
  expect(await new Response(child.stderr).text()).toStartWith(problem);
  expect(await child.exited).toBe(2);
});

test.each([
  ["--kafka", "one:9092?sasl=plain&user=a&password=hunter2", "user=a&password=…"],
  [
    "--queue",
    "kafka:one:9092?password=hunter2&sasl=plain&user=a",
    "kafka:one:9092?password=…&sasl",
  ],
  ["--kafka", "orchy:hunter2@one:9092", "…@one:9092"],
  ["--queue", "kafka:orchy:hunter2@one:9092", "kafka:…@one:9092"],
  ["--queue", "sqs:tasks?endpoint=http://orchy:hunter2@one", "sqs:…@one"],
  ["--queue", "sqs:https://orchy:hunter2@one/tasks", "sqs:…@one/tasks"],
  ["--dynamodb-endpoint", "htp://orchy:hunter2@one", "htp://…@one"],
])("a password that was put into an address is not repeated: %s %s", (flag, text, shown) => {
  const told = JSON.stringify(parseConfig([flag, text], {}));
  expect(told).toContain(shown);
  expect(told).not.toContain("hunter2");
});

test("secrets come from files, and are not shown when they are wrong", () => {
  const folder = mkdtempSync(join(tmpdir(), "orchy-config-"));
  const [store, headers] = [join(folder, "store"), join(folder, "headers")];
  writeFileSync(store, "redis://:secret@h:1\n");
  writeFileSync(headers, "x-key=secret");
  const url = { kind: "redis", url: "redis://:secret@h:1" } as const;
  const env = { ORCHY_STORE: `@${store}`, ORCHY_OTLP_ENDPOINT: "http://c" };
  expect(read(["--otlp-headers", `@${headers}`], env)).toMatchObject({
    store: url,
    tracing: { headers: { "x-key": "secret" } },
  });
  expect(read(["--store", `@${store}`]).store).toEqual(url);
  expect(problems(["--store", `@${folder}/none`])).toEqual([
    `--store: cannot read ${folder}/none: no such file.`,
  ]);
  writeFileSync(store, "rds://:secret@h:1");
  for (const given of [`@${store}`, "rds://:secret@h:1"]) {
    const [told] = problems(["--store", given]);
    expect(told).toStartWith("--store: must be sqlite:<file>");
    expect(told).not.toContain("secret");
  }
  rmSync(folder, { recursive: true });
});

test("all problems are told at once, and name where the value came from", () => {
  const found = problems(["--partitions", "x", "--lgo-level", "info"], {
    ORCHY_HTTP_PORT: "tcp://10.0.0.1:80",
  });
  expect(found.length).toBe(3);
  expect(found.join("\n")).toContain(`ORCHY_HTTP_PORT "tcp://10.0.0.1:80"`);
});

test("help lists every flag", () => {
  for (const flag of ["--help", "-h"]) {
    const parsed = parseConfig([flag, "--nonsense"], {});
    if (!("print" in parsed)) throw new Error("no help");
    for (const name of [
      "--http-port <port>",
      "--insecure",
      "ORCHY_HTTP_PORT",
      "sqlite:./data/orchy.db",
    ]) {
      expect(parsed.print).toContain(name);
    }
  }
});

test("each flag of the Go server that is none here is refused in a sentence that says what is", () => {
  const go = "config-file redis-address redis-password storage-impl queue-impl data-serializer";
  const names = `${go} batch-size bind-address cluster-address analytics-output`.split(" ");
  const told = problems(names.flatMap((name) => [`--${name}`, "x"]));
  expect(
    told.map((problem) => /^--(\S+) is a flag of the Go server: .+\.$/.exec(problem)?.[1]),
  ).toEqual(names);
  const page = readFileSync(join(import.meta.dir, "../../docs/go-server.md"), "utf8");
  expect(names.filter((name) => !page.includes(`\`--${name}\``))).toEqual([]);
  const same = ["--namespace", "n", "--http-port", "1", "--grpc-port", "2"];
  expect(problems([...same, "--partitions", "7", "--node-name", "n"])).toEqual([]);
});

test("legacy workers may have the number of another port at another address", () => {
  const { legacy } = read(["--host", "10.0.0.5", "--legacy-port", "8099"]);
  expect(legacy).toEqual({ host: "127.0.0.1", port: 8099 });
});

test("the version is that of the package", () => {
  expect(parseConfig(["--version"], {})).toEqual({ print: `Orchy ${manifest.version}` });
});
