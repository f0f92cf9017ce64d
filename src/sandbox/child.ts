/**
 * The program of a script process: reads a request from standard input, evaluates it, writes the
 * answer to standard output, one after the other, until its input ends. It has nothing else to do,
 * so it reads and writes synchronously. Each frame that it writes begins with `ready` or `busy`:
 * whether it takes the next request now, or says so later.
 */
import { readSync, writeSync } from "node:fs";
import { setPriority } from "node:os";
import { Interpreter } from "./evaluate.ts";
import { encodeFrame, FrameReader } from "./frame.ts";
import type { ScriptLimits } from "./machine.ts";

/** Scripts yield to the server when both want the same core. */
const niceness = 10;

// Ctrl-C reaches the whole process group; the server decides when its children end.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});

const limits = JSON.parse(process.argv[2] ?? "") as ScriptLimits;
const reader = new FrameReader(Number.MAX_SAFE_INTEGER);
const chunk = Buffer.allocUnsafeSlow(256 * 1024);

/** The next request, or undefined at the end of the input. */
function read(): string[] | undefined {
  for (;;) {
    const texts = reader.next();
    if (texts !== undefined) return texts;
    const bytes = readSync(0, chunk);
    if (bytes === 0) return undefined;
    reader.push(Buffer.from(chunk.subarray(0, bytes)));
  }
}

function write(texts: readonly string[]): void {
  const frame = encodeFrame(texts);
  let written = 0;
  while (written < frame.length) written += writeSync(1, frame, written);
}

function answer(interpreter: Interpreter, texts: readonly string[]): string[] {
  const [kind, expression = "", ...rest] = texts;
  if (kind === "check") {
    const problem = interpreter.check(expression);
    return problem === undefined ? ["ok"] : ["problem", problem];
  }
  const members = [];
  for (let at = 0; at + 2 < rest.length; at += 3) {
    members.push({ name: rest[at]!, isAction: rest[at + 1] === "action", text: rest[at + 2]! });
  }
  const outcome = interpreter.evaluate({
    expression,
    members,
    isCondition: kind === "decide",
  });
  if (!outcome.ok) {
    const { code, message } = outcome;
    return code === "SCRIPT_LIMIT" ? ["limit", message] : ["error", message, code];
  }
  return outcome.route === undefined
    ? ["ok", outcome.output]
    : ["ok", outcome.output, outcome.route];
}

const watchdog = new Worker(new URL("./watchdog.ts", import.meta.url));
await new Promise((resolve) => watchdog.addEventListener("message", resolve, { once: true }));
const interpreter = await Interpreter.open(limits);
// Only now, so that a replacement is soon there even on a busy machine.
setPriority(niceness);
write(["ready"]);
for (let texts = read(); texts !== undefined; texts = read()) {
  const answered = answer(interpreter, texts);
  // A new machine takes long enough to be announced: no script's time runs meanwhile.
  const { isWorn } = interpreter;
  write([isWorn ? "busy" : "ready", ...answered]);
  await interpreter.renew();
  if (isWorn) write(["ready"]);
}
process.exit(0);
