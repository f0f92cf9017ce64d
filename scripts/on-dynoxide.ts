/**
 * Runs a command on an imitation of DynamoDB that is there for it alone, and says what that took of the
 * processor: `bun scripts/on-dynoxide.ts bun scripts/bench-store.ts 5 dynamodb://eu-west-1/bench`.
 */
import { dynoxideMissing, startDynoxide } from "../test/support/brokers/dynoxide.ts";
import { usage } from "./bench/support.ts";

const command = process.argv.slice(2);
const missing = command.length === 0 ? "Name a command." : await dynoxideMissing();
if (missing !== undefined) {
  console.error(missing);
  process.exit(2);
}

const dynoxide = await startDynoxide();
const child = Bun.spawn(command, {
  env: {
    ...process.env,
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test",
    AWS_ENDPOINT_URL_DYNAMODB: dynoxide.endpoint,
  },
  stdio: ["inherit", "inherit", "inherit"],
});
const code = await child.exited;
const { cpu, rss } = usage(dynoxide.pid);
console.log(`dynoxide: ${cpu.toFixed(1)} s of the processor, ${Math.round(rss)} MiB`);
await dynoxide.stop();
process.exit(code);
