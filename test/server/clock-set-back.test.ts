/** The clock of the machine is set back by an hour below a server on the embedded store. */
import { afterAll, expect, test } from "bun:test";
import { temporaryFolder } from "../store/temporary.ts";
import { faketimeMissing, makeFakeTime } from "../support/faketime.ts";
import { call, startExecution, type TestServer, untilEnded } from "../support/orchy.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";

if (faketimeMissing !== undefined) console.log(`SKIPPED a clock set back: ${faketimeMissing}`);

const folder = temporaryFolder();
const time = faketimeMissing === undefined ? makeFakeTime() : undefined;
let server: ServerProcess | undefined;

afterAll(async () => {
  server?.child.kill("SIGKILL");
  await server?.child.exited;
  time?.remove();
  folder.remove();
});

const start = async () => {
  server = await startProcess(`sqlite:${folder.path}/orchy.db`, { env: time!.env });
};

const delay = () => startExecution(server!, "delayed");
const ended = async (id: string) => (await untilEnded(server as unknown as TestServer, id)).status;

test.skipIf(time === undefined)(
  "its timers fire in time, also after a restart, and its time goes on",
  async () => {
    await start();
    await call(server!, "POST", "/v1/workflows", {
      name: "delayed",
      rootAction: "d",
      actions: [{ id: "d", type: "system", name: "delay", delaySeconds: 2 }],
    });
    const first = await delay();
    time!.set(-3_600);
    const second = await delay();
    expect(await ended(first)).toBe("COMPLETED");
    expect(await ended(second)).toBe("COMPLETED");

    const third = await delay();
    server!.child.kill("SIGKILL");
    await server!.child.exited;
    await start();
    expect(server!.output.text).toContain("is behind the time of the store");
    expect(await ended(third)).toBe("COMPLETED");
    const { body } = await call(server!, "GET", "/v1/executions?workflow=delayed");
    const starts = body.items.map(({ startedAt }: { startedAt: string }) => Date.parse(startedAt));
    expect(starts).toEqual([...starts].sort((a, b) => b - a));
  },
  120_000,
);
