/** Tools that others wrote to test servers: h2spec on both ports, grpcurl, Schemathesis. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { readFirstKeySecret } from "../../src/runtime/services/first-key.ts";
import { saveSingle, start } from "./support/desk.ts";
import { run } from "./support/run.ts";
import { skipped, testMs } from "./support/scenario.ts";
import { ServerProcess } from "./support/server-process.ts";
import {
  goProgram,
  prepareGoTools,
  prepareSchemathesis,
  schemathesis,
} from "./support/toolchains.ts";

/**
 * What the HTTP/2 servers of Bun do not do: `Bun.serve` on the HTTP port, `node:http2` on the
 * other. All but 6.9.2 are calls for an error where the peer broke a rule, which no honest peer
 * meets. 6.9.2 is about a peer that makes its windows smaller while an answer is under way; clients
 * of gRPC do not.
 */
const known = {
  http: [
    "3.5: Sends invalid connection preface",
    "6.9.1: Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream",
    "8.1: Sends a second HEADERS frame without the END_STREAM flag",
    "8.1.2.1: Sends a HEADERS frame that contains a pseudo-header field as trailers",
    '8.1.2.6: Sends a HEADERS frame with the "content-length" header field which does not equal the DATA frame payload length',
    '8.1.2.6: Sends a HEADERS frame with the "content-length" header field which does not equal the sum of the multiple DATA frames payload length',
  ],
  grpc: [
    "5.1: idle: Sends a DATA frame",
    "5.1: idle: Sends a WINDOW_UPDATE frame",
    "5.1: closed: Sends a DATA frame after sending RST_STREAM frame",
    "5.1: closed: Sends a HEADERS frame after sending RST_STREAM frame",
    "5.1: closed: Sends a DATA frame",
    "5.1: closed: Sends a HEADERS frame",
    "5.1.1: Sends stream identifier that is numerically smaller than previous",
    "5.1.2: Sends HEADERS frames that causes their advertised concurrent stream limit to be exceeded",
    "5.3.1: Sends HEADERS frame that depend on itself",
    "5.3.1: Sends PRIORITY frame that depend on itself",
    '6.1: Sends a DATA frame on the stream that is not in "open" or "half-closed (local)" state',
    "6.7: Sends a PING frame with ACK",
    "6.9.2: Sends a SETTINGS frame for window size to be negative",
  ],
} as const;

const noGo = await prepareGoTools();
const noPython = await prepareSchemathesis();
let server: ServerProcess;

describe("conformance", () => {
  beforeAll(async () => {
    server = await ServerProcess.start();
  }, testMs);
  afterAll(() => server.remove(), testMs);

  if (noGo === undefined) goTools();
  else skipped("h2spec and grpcurl", noGo);
  if (noPython === undefined) openapi();
  else skipped("Schemathesis", noPython);
});

function goTools(): void {
  test.each(["http", "grpc"] as const)(
    "HTTP/2 on the %s port, by h2spec",
    async (name) => {
      const report = join(server.folder, `h2spec-${name}.xml`);
      const port = `${name === "http" ? server.httpPort : server.grpcPort}`;
      const flags = ["-p", port, "-P", "/health/live", "-o", "1", "--strict", "-j", report];
      const { output } = await run([goProgram("h2spec"), ...flags]);
      expect(output).toMatch(/1\d\d tests, 1\d\d passed/);
      const failed = failedCases(await Bun.file(report).text());
      const unknown = failed.filter((one) => !(known[name] as readonly string[]).includes(one));
      expect(unknown).toEqual([]);
      expect(server.alive).toBe(true);
    },
    // Its cases have a second each, whatever else the machine does.
    { timeout: testMs, retry: 2 },
  );

  const grpcurl = (...args: string[]) => {
    const [last] = args.splice(-1);
    const address = `127.0.0.1:${server.grpcPort}`;
    return run([goProgram("grpcurl"), "-plaintext", ...args, address, ...last!.split(" ")]);
  };

  test(
    "grpcurl finds everything by reflection, asks for health, and takes a task",
    async () => {
      const services = (await grpcurl("list")).output.split("\n");
      expect(services).toContain("orchy.v1.WorkerService");
      expect(services).toContain("ActionService");
      const described = await grpcurl("describe orchy.v1.PollRequest");
      expect(described.output).toContain("repeated .orchy.v1.TaskResult results = 6;");
      const health = await grpcurl("grpc.health.v1.Health/Check");
      expect(JSON.parse(health.output)).toEqual({ status: "SERVING" });

      await saveSingle(server, "curled");
      const executionId = await start(server, "curled", { n: 1 });
      const polled = await grpcurl(
        "-d",
        '{"actions":["curled"],"waitSeconds":20}',
        "orchy.v1.WorkerService/Poll",
      );
      const { tasks } = JSON.parse(polled.output);
      expect(tasks).toMatchObject([{ executionId, parameters: { n: 1 } }]);
      const refused = await grpcurl("-d", "{}", "orchy.v1.WorkerService/Poll");
      expect(refused.output).toContain("Code: InvalidArgument");
      expect(refused.ok).toBe(false);
    },
    testMs,
  );
}

/** "section: title" of the cases that a report of h2spec lists as failed. */
function failedCases(report: string): string[] {
  const cases = report.matchAll(
    /<testcase package="\w+\/([\d.]+)" classname="([^"]*)"[^>]*>\s*<(?:error|failure)/g,
  );
  return [...cases].map(([, section, title]) => `${section}: ${title!.replaceAll("&#34;", '"')}`);
}

function openapi(): void {
  // Some seconds here; `ORCHY_SCHEMATHESIS_SECONDS` asks for more.
  const seconds = Number(process.env.ORCHY_SCHEMATHESIS_SECONDS ?? 5);
  test(
    "every answer is one that /openapi.json tells, by Schemathesis",
    async () => {
      const configuration = join(import.meta.dir, "python/schemathesis.toml");
      const secret = readFirstKeySecret(join(server.folder, "orchy.db"));
      const headers = { "content-type": "application/json", authorization: `Bearer ${secret}` };
      const body = JSON.stringify({ name: "schemathesis", scopes: ["admin"] });
      const made = await fetch(`${server.url}/v1/keys`, { method: "POST", headers, body });
      const { key } = (await made.json()) as { key: string };
      const budget = ["--max-time", `${seconds}`, "--phases", "coverage,fuzzing"];
      const { ok, output } = await run(
        [
          ...[schemathesis, "--config-file", configuration, "run", `${server.url}/openapi.json`],
          ...["--header", `Authorization: Bearer ${key}`],
          ...[...budget, "--continue-on-failure", "--no-color", "--warnings", "off"],
        ],
        // It leaves a folder of examples where it runs.
        { cwd: server.folder },
      );
      if (!ok) console.log(output);
      expect(ok).toBe(true);
      expect(server.alive).toBe(true);
      expect((await fetch(`${server.url}/health/ready`)).status).toBe(200);
    },
    testMs + seconds * 2_000,
  );
}
