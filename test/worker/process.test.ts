/** Workers as processes, on Bun from the sources and on Node.js from what `npm run build` makes. */
import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { copyFile, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cannotInstall, newcomersEnvironment, root } from "../support/newcomer.ts";
import { ScriptedServer } from "./scripted-server.ts";

const program = join(import.meta.dirname, "worker-process.mjs");
const cleanups: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  const build = Bun.spawn([process.execPath, join(root, "scripts", "build.ts")], {
    stdout: "pipe",
    stderr: "inherit",
  });
  expect(await build.exited).toBe(0);
}, 120_000);

afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "orchy-worker-"));
  cleanups.push(() => rm(folder, { recursive: true }));
  return folder;
}

async function startWorker(runtime: string, transport: string, path = program) {
  const server = new ScriptedServer().start();
  const child = Bun.spawn([runtime, path, server.url, transport], {
    stdout: "pipe",
    stderr: "pipe",
  });
  cleanups.push(async () => {
    child.kill("SIGKILL");
    await child.exited;
    await server.cut();
  });
  const seen = { output: "" };
  for (const stream of [child.stdout, child.stderr]) {
    const decoder = new TextDecoder();
    void stream.pipeTo(
      new WritableStream({
        write(chunk) {
          seen.output += decoder.decode(chunk, { stream: true });
          server.changed();
        },
      }),
    );
  }
  await server.until(() => server.registered.length === 4);
  return { server, child, seen };
}

for (const [name, runtime] of [
  ["Bun", process.execPath],
  ["Node.js", "node"],
] as const) {
  for (const transport of ["http2", "http1"]) {
    test(`${name} over ${transport}: tasks run, failures are told, results of 3 MB pass`, async () => {
      const { server } = await startWorker(runtime, transport);
      const text = "ü".repeat(1_500_000);
      const tokens = [server.add("echo", { text }), server.add("decline")];
      const [echoed, declined] = await Promise.all(tokens.map((token) => server.outcome(token)));
      expect(echoed).toEqual({ input: { text }, attempt: 1 });
      expect(declined).toEqual({ code: "CARD_DECLINED", message: "too much", retryable: false });
    });
  }

  describe(`${name}`, () => {
    test("a worker that cannot start ends with 1 and the reason, without a stack of the library", async () => {
      const server = new ScriptedServer().start();
      cleanups.push(() => server.cut());
      // The response of an older server's gRPC port.
      server.beforeCall = () => new Response(null, { status: 415 });
      const starts: [string, string][] = [
        ["localhost:8080", 'The worker cannot start: "localhost:8080" is not the address'],
        [server.url, "The worker cannot start: HTTP status 415. A worker needs the HTTP port"],
      ];
      for (const [address, sentence] of starts) {
        const command = [runtime, program, address, "http2"];
        const child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe" });
        expect(await child.exited).toBe(1);
        const errors = await new Response(child.stderr).text();
        expect(errors.split(sentence)).toHaveLength(2);
        expect(errors).not.toMatch(/(src|dist)\/worker\//);
        expect(await new Response(child.stdout).text()).toBe("");
      }
    });

    test("a second signal ends a worker that drains", async () => {
      const { server, child, seen } = await startWorker(runtime, "http2");
      server.add("slow", { ms: 60_000 });
      await server.until(() => seen.output.includes("slow has begun"));
      child.kill("SIGTERM");
      // The drain has begun when it has ended the parked polls.
      await server.until(() => server.parkedPolls === 0);
      child.kill("SIGTERM");
      await child.exited;
      expect(child.signalCode).toBe("SIGTERM");
      expect(seen.output).not.toContain("drained");
    });

    test("heartbeats go on, and hear of a cancel, while a handler blocks", async () => {
      const { server, seen } = await startWorker(runtime, "http2");
      const untilFile = join(await newFolder(), "go-on");
      const token = server.add("block", { untilFile }, { heartbeatMs: 300n });
      const beats = (): number => server.beats.get(token)?.length ?? 0;
      await server.until(() => beats() >= 3);
      server.cancelled.add(token);
      const beatsBefore = beats();
      await server.until(() => beats() > beatsBefore);
      // Only now may the handler's thread do anything else.
      await writeFile(untilFile, "");
      await server.until(() => seen.output.includes("stopped"));
      expect(seen.output).toContain("stopped: cancelled");
      expect(server.settled.has(token)).toBe(false);
    });

    test("SIGTERM: the running task ends and its result is sent, then the process ends", async () => {
      const { server, child, seen } = await startWorker(runtime, "http2");
      const token = server.add("slow", { ms: 300 });
      await server.until(() => seen.output.includes("slow has begun"));
      child.kill("SIGTERM");
      expect(await server.outcome(token)).toBe("slow has ended");
      expect(await child.exited).toBe(0);
      expect(seen.output).toContain("drained");
    });

    test("SIGTERM while there is no server: the process ends, and says that a result is left", async () => {
      const { server, child, seen } = await startWorker(runtime, "http2");
      server.add("slow", { ms: 300 });
      await server.until(() => seen.output.includes("slow has begun"));
      await server.cut();
      child.kill("SIGTERM");
      expect(await child.exited).toBe(0);
      expect(seen.output).toContain("Some results could not be sent");
    }, 120_000);

    test("bundled into one file, it says once that heartbeats have no thread, and works", async () => {
      const outdir = await newFolder();
      await Bun.build({ entrypoints: [program], outdir, target: "node", conditions: ["bun"] });
      const bundle = join(outdir, "worker-process.js");
      const { server, seen } = await startWorker(runtime, "http2", bundle);
      await server.until(() => seen.output.includes("heartbeats"));
      const token = server.add("slow", { ms: 300 }, { heartbeatMs: 90n });
      await server.until(() => server.beats.has(token));
      expect(await server.outcome(token)).toBe("slow has ended");
      expect(seen.output.match(/The thread for heartbeats does not run/g)).toHaveLength(1);
    });

    test("a server that is killed and comes back is found again", async () => {
      const { server } = await startWorker(runtime, "http2");
      await server.outcome(server.add("echo", { n: 1 }));
      await server.cut();
      server.start();
      const again = await server.outcome(server.add("echo", { n: 2 }));
      expect(again).toEqual({ input: { n: 2 }, attempt: 1 });
    });
  });
}

async function run(cwd: string, ...command: string[]): Promise<string> {
  const options = { cwd, env: newcomersEnvironment(), stdout: "pipe", stderr: "pipe" } as const;
  const child = Bun.spawn(command, options);
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  expect({ exitCode: await child.exited, output, errors }).toMatchObject({ exitCode: 0 });
  return output;
}

const typedProgram = `
import { NonRetryableError, type TaskContext, Worker, type WorkerOptions } from "orchy/worker";
const options: WorkerOptions = { server: "http://localhost:8080" };
new Worker(options).action("a", (input: { n: number }, context: TaskContext) => {
  if (input.n > 3) throw new NonRetryableError("TOO_MANY", "at most 3", { n: input.n });
  return context.attempt;
});
`;

async function packedPackage(): Promise<void> {
  const [packed, folder] = [await newFolder(), await newFolder()];
  await run(packed, "npm", "pack", join(root, "dist"));
  const [archive] = await readdir(packed);
  const files = await run(packed, "tar", "tzf", archive!);
  expect(files).not.toMatch(/test|\.lua|[^d]\.ts$/m);
  const npm = ["npm", "install", "--no-audit", "--no-fund", "--prefer-offline"];
  await run(folder, ...npm, join(packed, archive!));
  const installed = (await readdir(join(folder, "node_modules"))).sort();
  expect(installed.filter((name) => !name.startsWith("."))).toEqual(["@bufbuild", "orchy"]);

  const path = join(folder, "worker.mjs");
  await copyFile(program, path);
  for (const runtime of ["node", process.execPath]) {
    const { server, seen } = await startWorker(runtime, "http2", path);
    const token = server.add("slow", { ms: 300 }, { heartbeatMs: 90n });
    await server.until(() => server.beats.has(token));
    expect(await server.outcome(token)).toBe("slow has ended");
    expect(seen.output).not.toContain("The thread for heartbeats does not run");
  }

  await writeFile(join(folder, "typed.ts"), typedProgram);
  const tsc = [process.execPath, join(root, "node_modules", ".bin", "tsc"), "--noEmit", "--strict"];
  const resolution = ["--module", "nodenext", "--types", "", "--lib", "esnext,dom"];
  await run(folder, ...tsc, ...resolution, "typed.ts");
}

const missing = cannotInstall();
const title =
  "packed and installed in an empty folder, it runs on Node.js and on Bun, and has types";
if (missing === undefined) test(title, packedPackage, 300_000);
else test.skip(`${title} (${missing})`, () => {});
