/** Test files run in several processes at once: each gets separate ports. */
import { expect, test } from "bun:test";
import { join } from "node:path";

const processes = 4;
const portsEach = 400;
/** Takes its ports and holds them until its input ends. */
const program = `
  import { freePort } from ${JSON.stringify(join(import.meta.dir, "ports.ts"))};
  console.log(JSON.stringify(Array.from({ length: ${portsEach} }, freePort)));
  for await (const _ of Bun.stdin.stream());`;

test("no two processes get the same port", async () => {
  const children = Array.from({ length: processes }, () =>
    Bun.spawn([process.execPath, "-e", program], { stdin: "pipe", stdout: "pipe" }),
  );
  const lines = await Promise.all(
    children.map(async ({ stdout }) => {
      let text = "";
      for await (const chunk of stdout) {
        text += Buffer.from(chunk).toString();
        if (text.endsWith("\n")) break;
      }
      return JSON.parse(text) as number[];
    }),
  );
  await Promise.all(children.map(({ stdin }) => stdin.end()));
  await Promise.all(children.map(({ exited }) => exited));
  expect(new Set(lines.flat()).size).toBe(processes * portsEach);
});
