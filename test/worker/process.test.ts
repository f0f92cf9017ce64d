/** Workers as processes, on Bun from the sources and on Node.js from what `npm run build` makes. */
import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ScriptedServer } from "./scripted-server.ts";

const root = join(import.meta.dirname, "..", "..");
const program = join(import.meta.dirname, "worker-process.mjs");
const cleanups: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  const build = Bun.spawn([process.execPath, join(root, "scripts", "build.ts")], {
    stdout: "pipe",
    stderr: "inherit",
  });
  expect(await build.exited).toBe(0);
}, 30_000);

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
    }, 30_000);

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
