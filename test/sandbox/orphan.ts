/** A server to be killed while a script of it burns in a native loop. Prints a line when it does. */
import { systemClock } from "../../src/base/clock.ts";
import { createSandbox } from "../../src/sandbox/pool.ts";

const sandbox = createSandbox({ clock: systemClock, processes: 1, scriptMs: 300_000 });
const data = { input: "{}", execution: "{}", actions: {} };
await sandbox.evaluate({ ...data, expression: "1" });
const burning = sandbox.evaluate({
  ...data,
  expression: "'a'.repeat(3e7).indexOf('a'.repeat(1e6) + 'b')",
});
console.log("burning");
await burning;
