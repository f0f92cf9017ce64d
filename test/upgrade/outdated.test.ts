/** A server that was frozen while the others went on to a newer format, and comes back. */
import { expect, test } from "bun:test";
import { currentFormat } from "../../src/model/format.ts";
import { startProcess } from "../support/process.ts";
import { redisMissing, startRedis } from "../support/redis.ts";

const title = "a server that wakes up to a newer format says so and ends itself";

async function wakeUp(): Promise<void> {
  const redis = await startRedis();
  const store = `redis://127.0.0.1:${redis.port}`;
  const { child, output } = await startProcess(store);
  try {
    child.kill("SIGSTOP");
    await redis.client.hset("orchy:{meta}:settings", { layout: currentFormat + 1 });
    child.kill("SIGCONT");
    expect(await child.exited).toBe(1);
    expect(output.text).toContain(
      `The store holds format ${currentFormat + 1}, and this server reads up to ` +
        `${currentFormat}: update it.`,
    );
    const settings = await redis.client.hgetall("orchy:{meta}:settings");
    expect(settings.layout).toBe(`${currentFormat + 1}`);
    expect(await redis.client.hlen("orchy:{meta}:servers")).toBe(0);
  } finally {
    child.kill("SIGKILL");
    await redis.stop();
  }
}

if (redisMissing === undefined) test(title, wakeUp, 120_000);
else test.skip(`${title} (${redisMissing})`, () => {});
