/**
 * A separate process that attacks, or works honestly, as it is told: a name a line on standard
 * input, and a line on standard output when it is done. Arguments: the target, as JSON.
 */
import { createInterface } from "node:readline";
import type { Attack, Target } from "./attack.ts";
import { bothBodyAttacks, grpcBodyAttacks, httpBodyAttacks } from "./bodies.ts";
import { frameAttacks, http1Attacks } from "./frames.ts";
import { loads } from "./honest.ts";

const all: Readonly<Record<string, Attack>> = {
  ...loads,
  ...frameAttacks,
  ...http1Attacks,
  ...bothBodyAttacks,
  ...httpBodyAttacks,
  ...grpcBodyAttacks,
};

/** Long enough to see how others fare meanwhile. */
const windowMs = 500;

const target = JSON.parse(process.argv[2]!) as Target;
for await (const name of createInterface({ input: process.stdin })) {
  const startedMs = performance.now();
  let error = "";
  do {
    await all[name]!(target).catch((thrown) => {
      error = String(thrown);
    });
  } while (error === "" && performance.now() - startedMs < windowMs);
  process.stdout.write(`${JSON.stringify({ name, error })}\n`);
}
