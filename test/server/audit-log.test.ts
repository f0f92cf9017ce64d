/** The file of --audit-log. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { call, startTestServer } from "../support/orchy.ts";
import { until } from "../support/redis.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "orchy-audit-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("has every audit line with its address, whatever the log's level, and may be rotated", async () => {
  const file = join(folder, "audit.log");
  const server = await startTestServer({
    store: "memory:",
    flags: ["--log-level", "silent", "--audit-log", file],
  });
  try {
    await call(server, "PUT", "/v1/actions/a", {});
    await call(server, "POST", "/metadata/action", { name: "b" });
    const linesIn = (path: string) => readFileSync(path, "utf8").trim().split("\n");
    await until(async () => linesIn(file).length === 2);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    renameSync(file, `${file}.1`);
    await call(server, "POST", "/orchy.v1.WorkerService/RegisterActions", {
      actions: [{ name: "c" }],
    });
    await call(server, "POST", "/TaskService/SaveTaskDef", { name: "d" });
    await server.stop();
    const lines = [...linesIn(`${file}.1`), ...linesIn(file)].map((line) => JSON.parse(line));
    const saved = (target: string) => ({
      audit: true,
      key: "none",
      address: "127.0.0.1",
      what: "action saved",
      target,
    });
    expect(lines).toMatchObject(["a", "b", "c", "d"].map(saved));
  } finally {
    await server.remove();
  }
});

test("that cannot be written is refused at the start, in a sentence", async () => {
  const flags = ["--audit-log", join(folder, "missing", "audit.log")];
  await expect(startTestServer({ store: "memory:", flags })).rejects.toThrow(
    /^--audit-log .*audit\.log cannot be written: /,
  );
});
