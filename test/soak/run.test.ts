/** A few seconds of the soak run over each kind of connection: every call succeeds, all is measured. */
import { expect, test } from "bun:test";
import { join } from "node:path";

const script = join(import.meta.dir, "../../scripts/soak.ts");

test.each([[[]], [["--grpc"]]])(
  "a short run %p loses no call and no execution",
  async (flags) => {
    const command = ["--minutes", "0.1", "--sample-seconds", "1", "--rate", "20", ...flags];
    const child = Bun.spawn([process.execPath, script, ...command], {
      stdout: "pipe",
      stderr: "pipe",
    });
    const [output, errors] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    await child.exited;
    // So soon after its start a server still grows, and so does the store; and it prints how the first
    // key is made.
    const expected = /^(?:GROWS|No key exists yet|$)/;
    expect(errors.split("\n").filter((line) => !expected.test(line))).toEqual([]);
    const [, completed, started] = /(\d+) of (\d+) executions completed/.exec(output) ?? [];
    expect(completed).toBe(started as string);
    expect(Number(completed)).toBeGreaterThan(20);
    expect(output.match(/"rssMib"/g)).toHaveLength(6);
    for (const measure of ["rssMib", "handles", "sockets", "threads", "storeMib", "lagMs"]) {
      expect(output).toMatch(new RegExp(`│ ${measure} .*(flat|grows|open)`));
    }
  },
  120_000,
);
