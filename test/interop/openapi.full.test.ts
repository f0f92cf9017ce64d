/** What others make of /openapi.json: a linter finds nothing, and made clients talk to a server. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder, interopFolder, mustRun, run } from "./support/run.ts";
import { skipped, testMs } from "./support/scenario.ts";
import { ServerProcess } from "./support/server-process.ts";
import {
  openapiFolder,
  openapiProgram,
  prepareOpenapi,
  preparePythonClients,
  pythonProgram,
  virtualPath,
} from "./support/toolchains.ts";

const noNode = await prepareOpenapi();
const noPython = await preparePythonClients();
const document = join(openapiFolder, "openapi.json");
let server: ServerProcess;

describe("/openapi.json", () => {
  beforeAll(async () => {
    server = await ServerProcess.start();
    await mkdir(openapiFolder, { recursive: true });
    await Bun.write(document, await fetch(`${server.url}/openapi.json`));
  }, testMs);
  afterAll(() => server.remove(), testMs);

  if (noNode === undefined) node();
  else skipped("a linter and a client in TypeScript, made of /openapi.json,", noNode);
  if (noPython === undefined) python();
  else skipped("a client in Python, made of /openapi.json,", noPython);
});

/** What both clients print in the end. */
const said = {
  accepted: "RESULT_STATUS_ACCEPTED",
  result: { attempt: 1 },
  listed: [true],
  refused: "NOT_FOUND",
};

function node(): void {
  test(
    "has no errors and no warnings, by Redocly",
    async () => {
      const quiet = { REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" };
      const lint = [...openapiProgram("redocly"), "lint", document, "--extends=recommended-strict"];
      const { ok, output } = await run(lint, { cwd: openapiFolder, env: quiet });
      expect([ok, output]).toEqual([true, expect.stringContaining("is valid")]);
    },
    testMs,
  );

  test(
    "gives a client in TypeScript that compiles and works",
    async () => {
      const here = { cwd: openapiFolder };
      for (const name of ["client.ts", "tsconfig.json"]) {
        await copyFile(join(interopFolder, "openapi", name), join(openapiFolder, name));
      }
      await mustRun([...openapiProgram("openapi-typescript"), document, "-o", "api.ts"], here);
      await mustRun([join(interopFolder, "../../node_modules/.bin/tsc"), "-p", "."], here);
      const { ok, output } = await run([process.execPath, "client.ts", server.url], here);
      expect([ok, ok ? JSON.parse(output) : output]).toEqual([true, said]);
    },
    testMs,
  );
}

function python(): void {
  test(
    "gives a client in Python that works",
    async () => {
      const target = join(cacheFolder, "openapi-python");
      const env = { PATH: `${virtualPath}:${process.env.PATH}` };
      const flags = ["--path", document, "--output-path", target, "--overwrite"];
      const generate = ["openapi-python-client", "generate", ...flags, "--fail-on-warning"];
      await mustRun(generate, { env });
      const program = [...pythonProgram("openapi_client.py"), server.url];
      const { ok, output } = await run(program, { env: { PYTHONPATH: target } });
      expect([ok, ok ? JSON.parse(output) : output]).toEqual([true, said]);
    },
    testMs,
  );
}
