/** The file of audit lines while its disk is slow: a pipe that is not read for a while. */
import { expect, test } from "bun:test";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { limits } from "../../src/base/limits.ts";
import { AuditFile } from "../../src/telemetry/audit-file.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { HandClock } from "../support/hand-clock.ts";

test("holds so much in memory; what is left out is counted in the log", async () => {
  const folder = mkdtempSync(join(tmpdir(), "orchy-audit-"));
  const path = join(folder, "audit.log");
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  const pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    const told: { message: string; leftOut?: number }[] = [];
    const write = (line: string) => told.push(JSON.parse(line));
    const log = createLogger({ level: "info", clock: new HandClock(), write });
    const file = await AuditFile.open(path, log);
    const line = "x".repeat(64 * 1024);
    const fitting = limits.auditBacklogCharsMax / line.length;
    for (let n = 0; n < 3 * fitting; n++) file.write(line);
    const flushed = file.flush().then(() => true);
    let bytes = 0;
    const piece = Buffer.alloc(1024 * 1024);
    do bytes += take(pipe, piece);
    while (!(await Promise.race([flushed, Bun.sleep(1)])));
    bytes += take(pipe, piece);
    expect(bytes).toBe(fitting * (line.length + 1));
    expect(told).toMatchObject([{ leftOut: 2 * fitting }]);
    file.write("y");
    await file.flush();
    expect(take(pipe, piece)).toBe(2);
  } finally {
    closeSync(pipe);
    rmSync(folder, { recursive: true });
  }
});

/** Bytes that were there. */
function take(pipe: number, piece: Buffer): number {
  try {
    return readSync(pipe, piece);
  } catch {
    return 0;
  }
}
