/** The server as a process: what an operator sees of its start and its end. */
import { expect, test } from "bun:test";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, watch, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const main = new URL("../src/main.ts", import.meta.url).pathname;

function run(flags: readonly string[], output?: string, env: Record<string, string> = {}) {
  return Bun.spawn([process.execPath, main, "--store", "memory:", "--grpc-port", "0", ...flags], {
    env,
    stdout: output === undefined ? "ignore" : Bun.file(output),
    stderr: "pipe",
  });
}

// A file, as a process that writes to a pipe is kept alive by it, and this one must not rely on that.
test("a server says where it listens, and stops wholly on a signal", async () => {
  const folder = await mkdtemp(join(tmpdir(), "orchy-main-"));
  const output = join(folder, "log");
  await writeFile(output, "");
  const changes = watch(output);
  const server = run(["--http-port", "0"], output);
  let lines: { message: string; http?: string }[] = [];
  for await (const _ of changes) {
    lines = (await readFile(output, "utf8"))
      .split("\n")
      .filter(Boolean)
      .map((one) => JSON.parse(one));
    if (lines.length > 0) break;
  }
  expect((await fetch(`${lines[0]!.http}/health/ready`)).status).toBe(200);
  server.kill("SIGTERM");
  expect(await server.exited).toBe(0);
  const told = (await readFile(output, "utf8"))
    .trim()
    .split("\n")
    .map((one) => JSON.parse(one).message)
    // A busy machine is none of this test's business.
    .filter((message) => message !== "the main thread was blocked");
  expect(told).toEqual(["Orchy is listening", "stopping", "stopped"]);
  // The secret of the first key is printed, but is not in the log.
  expect(await new Response(server.stderr).text()).toMatch(/: orchy_first_[0-9a-f]{64}\n$/);
  expect(await readFile(output, "utf8")).not.toContain("orchy_first");
  await rm(folder, { recursive: true });
});

test("bad flags end it with a sentence each", async () => {
  const server = run(["--http-prt", "1", "--partitions", "0"]);
  expect(await new Response(server.stderr).text()).toBe(
    "Unknown flag --http-prt; did you mean --http-port?\n" +
      '--partitions "0": must be a whole number from 1 to 4096.\n',
  );
  expect(await server.exited).toBe(2);
});

test("a task queue on SQS without credentials or a region ends it with a sentence", async () => {
  const nowhere = { HOME: join(tmpdir(), "orchy-nobody"), AWS_EC2_METADATA_DISABLED: "true" };
  const start = async (queue: string) => {
    const server = run(["--http-port", "0", "--queue", queue], undefined, nowhere);
    const told = await new Response(server.stderr).text();
    return [await server.exited, told];
  };
  const prefix = "Orchy cannot start: the task queue cannot be used: SQS:";
  expect(await start("sqs:")).toEqual([1, `${prefix} no region is known. Set AWS_REGION.\n`]);
  const [code, told] = await start("sqs:?region=eu-west-1");
  expect(told).toStartWith(`${prefix} GetQueueUrl: No AWS credentials were found in`);
  expect(told).toEndWith(". Set AWS_PROFILE, or give this machine a role.\n");
  expect(code).toBe(1);
});

test("a version is printed", async () => {
  const server = Bun.spawn([process.execPath, main, "--version"], { stdout: "pipe" });
  expect(await new Response(server.stdout).text()).toMatch(/^Orchy \d+\.\d+\.\d+\n$/);
  expect(await server.exited).toBe(0);
});

test("a file that is no store is named, with the reason", async () => {
  const folder = await mkdtemp(join(tmpdir(), "orchy-main-"));
  const text = join(folder, "text");
  const lock = join(folder, "locked");
  await writeFile(text, "this is a text, and no database of SQLite at all");
  await mkdir(`${lock}.lock`);
  const reasons: [path: string, file: string, reason: string][] = [
    [folder, folder, "it is a folder; name a file in it"],
    [text, text, "it is not a SQLite database"],
    [join(text, "x.db"), join(text, "x.db"), "a part of its path is a file, not a folder"],
    [lock, `${lock}.lock`, "it is a folder; name a file in it"],
  ];
  for (const [path, file, reason] of reasons) {
    const flags = ["--store", `sqlite:${path}`, "--log-level", "silent"];
    const server = Bun.spawn([process.execPath, main, ...flags], { env: {}, stderr: "pipe" });
    expect(await new Response(server.stderr).text()).toBe(
      `Orchy cannot start: The file ${file} of the store cannot be opened: ${reason}.\n`,
    );
    expect(await server.exited).toBe(1);
  }
  await rm(folder, { recursive: true });
});

test("a port that is taken is told in a sentence", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as { port: number };
  const server = run(["--http-port", String(port)]);
  expect(await new Response(server.stderr).text()).toContain(`port ${port}`);
  expect(await server.exited).toBe(1);
  other.close();
});
