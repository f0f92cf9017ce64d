/** A Go worker of the legacy wire, built from its table of fields alone, for both services. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createAuthority } from "../support/certificates.ts";
import { call } from "../support/orchy.ts";
import { freePort } from "../support/ports.ts";
import { redisMissing, startRedis } from "../support/redis.ts";
import { ended, saveSingle, start, until } from "./support/desk.ts";
import { skipped, testMs } from "./support/scenario.ts";
import { ServerProcess } from "./support/server-process.ts";
import { goProgram, missing, prepareGo } from "./support/toolchains.ts";

/** A line that the worker writes. */
interface Said {
  readonly joined?: string;
  readonly left?: string;
  readonly action?: string;
  readonly retryCount?: number;
  readonly accepted?: boolean;
}

/** A server and a worker, with executions that take their time under way. */
interface Shop {
  readonly server: ServerProcess;
  readonly worker: ChildProcess;
  readonly said: readonly Said[];
  /** Execution of each workflow by its name. */
  readonly ids: Readonly<Record<string, string>>;
}

const seed = join(import.meta.dir, "../../examples/seed.json");
const slow = ["fails-fixed", "fails-backoff", "late-once", "pushed-thrice"];

/** Resolves when it has saved the rules of its actions, and says so. */
async function openWorker(program: string, { grpcPort }: { readonly grpcPort: number }) {
  const worker = spawn(goProgram(program), [`127.0.0.1:${grpcPort}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const said: Said[] = [];
  createInterface({ input: worker.stdout }).on("line", (line) => said.push(JSON.parse(line)));
  await until(
    async () => said.length,
    (count) => count > 0,
  );
  return { worker, said };
}

async function openShop(program: string): Promise<Shop> {
  const server = await ServerProcess.start();
  const { worker, said } = await openWorker(program, server);
  const ids: Record<string, string> = {};
  expect((await call(server, "POST", "/workflow", await Bun.file(seed).text())).status).toBe(200);
  const request = { name: "test_workflow", input: { age: 89 } };
  ids.test_workflow = (await call(server, "POST", "/flow/execute", request)).body.flowId;
  for (const name of slow) {
    await saveSingle(server, name);
    ids[name] = await start(server, name, { n: 1 });
  }
  return { server, worker, said, ids };
}

const services = [
  ["TaskService", "task"],
  ["ActionService", "action"],
] as const;
/** Before October 2022: one task a poll, and no call that asks for the servers. */
const earlier = ["TaskService of one task a poll", "single"] as const;
const skip = await prepareGo();
const noTls = missing("openssl");
const shops = new Map<string, Shop>();

if (skip !== undefined) {
  skipped("legacy workers", skip);
} else {
  describe("legacy workers", () => {
    beforeAll(async () => {
      await Promise.all(
        [...services, earlier].map(async ([service, program]) =>
          shops.set(service, await openShop(program)),
        ),
      );
    }, testMs);
    afterAll(async () => {
      for (const { worker, server } of shops.values()) {
        worker.kill("SIGTERM");
        await once(worker, "exit");
        await server.remove();
      }
    }, testMs);

    for (const [service] of [...services, earlier])
      describe(service, () => scenario(() => shops.get(service)!));
    if (noTls !== undefined) skipped("legacy workers of a server with TLS", noTls);
    else describe.each(services)("%s", beside);
    if (redisMissing !== undefined) skipped("servers that join and leave", redisMissing);
    else describe.each(services)("%s", joining);
  });
}

function beside(_service: string, program: string): void {
  test(
    "a server with TLS serves the worker at the port that is set for it",
    async () => {
      const authority = createAuthority();
      const own = authority.issue("server");
      const legacyPort = freePort();
      const flags = ["--tls-cert", own.certPath, "--tls-key", own.keyPath];
      const server = await ServerProcess.start(undefined, {
        flags: [...flags, "--legacy-port", `${legacyPort}`],
        tls: { ca: authority.cert },
      });
      const { worker, said } = await openWorker(program, { grpcPort: legacyPort });
      try {
        expect(said[0]).toEqual({ joined: `127.0.0.1:${legacyPort}` });
        await saveSingle(server, "pushed-thrice");
        const id = await start(server, "pushed-thrice", { n: 1 });
        expect(await ended(server, id)).toMatchObject({ status: "COMPLETED", result: { n: 1 } });
      } finally {
        worker.kill("SIGTERM");
        await once(worker, "exit");
        await server.remove();
        authority.remove();
      }
    },
    testMs,
  );
}

function joining(_service: string, program: string): void {
  test(
    "the worker goes to a server that joins, and away from one that leaves",
    async () => {
      const redis = await startRedis();
      const store = `redis://127.0.0.1:${redis.port}`;
      const first = await ServerProcess.start(store);
      const { worker, said } = await openWorker(program, first);
      try {
        const hears = (wanted: Said) =>
          until(
            async () => said.some((one) => JSON.stringify(one) === JSON.stringify(wanted)),
            (heard) => heard,
          );
        const second = await ServerProcess.start(store);
        await hears({ joined: `127.0.0.1:${second.grpcPort}` });
        await saveSingle(second, "pushed-thrice");
        const before = await start(second, "pushed-thrice", { n: 1 });
        expect((await ended(second, before)).status).toBe("COMPLETED");
        await second.remove();
        await hears({ left: `127.0.0.1:${second.grpcPort}` });
        const after = await start(first, "pushed-thrice", { n: 2 });
        expect((await ended(first, after)).result).toEqual({ n: 2 });
        await first.remove();
      } finally {
        worker.kill("SIGTERM");
        await once(worker, "exit");
        await redis.stop();
      }
    },
    testMs,
  );
}

function scenario(shop: () => Shop): void {
  const pushesOf = (name: string) => shop().said.filter(({ action }) => action === name);
  const untilPushed = (name: string, times: number) =>
    until(
      async () => pushesOf(name).length,
      (count) => count >= times,
    );
  const end = (name: string) => ended(shop().server, shop().ids[name]!);

  test("the worker dials the server that it hears of", () => {
    const { said, server } = shop();
    expect(said[0]).toEqual({ joined: `127.0.0.1:${server.grpcPort}` });
  });

  test(
    "a repeated push changes nothing, and is told to be fine",
    async () => {
      const { status, result, actions } = await end("pushed-thrice");
      expect([status, result, actions[0].attempts.length]).toEqual(["COMPLETED", { n: 1 }, 1]);
      await untilPushed("pushed-thrice", 3);
      const accepted = pushesOf("pushed-thrice").map((push) => push.accepted);
      expect(accepted).toEqual([true, true, true]);
    },
    testMs,
  );

  test(
    "a push that is late is refused, and its retry counts",
    async () => {
      const { status, actions } = await end("late-once");
      expect(status).toBe("COMPLETED");
      expect(actions[0].attempts).toMatchObject([{ error: { code: "TIMEOUT" } }, { number: 2 }]);
      await untilPushed("late-once", 2);
      const late = { action: "late-once", retryCount: 1, accepted: false };
      expect(pushesOf("late-once")).toContainEqual(late);
    },
    testMs,
  );

  // The delays may be a fifth shorter or longer, by chance.
  test.each([
    ["FIXED", "fails-fixed", [0.8, 0.8]],
    ["BACKOFF", "fails-backoff", [0.8, 1.6]],
  ] as const)(
    "a failing action is retried by retryCount, retryAfterSeconds and %s",
    async (_policy, name, leastSeconds) => {
      const { status, error, actions } = await end(name);
      expect([status, error.message]).toEqual(["FAILED", "no stock"]);
      const attempts: { startedAt: string; endedAt: string }[] = actions[0].attempts;
      expect(attempts).toHaveLength(3);
      for (const [index, least] of leastSeconds.entries()) {
        const { startedAt } = attempts[index + 1]!;
        const gapMs = Date.parse(startedAt) - Date.parse(attempts[index]!.endedAt);
        expect(gapMs).toBeGreaterThanOrEqual(least * 1_000);
      }
    },
    testMs,
  );

  test(
    "seed.json runs to its end",
    async () => {
      const { server, ids } = shop();
      const id = ids.test_workflow!;
      const path = `/execution/test_workflow/${id}`;
      await until(
        async () => (await call(server, "GET", path)).body.state,
        (state) => state === "EVENT WAITING",
      );
      const event = { name: "test_workflow", flowId: id, event: "test" };
      expect((await call(server, "POST", "/flow/event", event)).status).toBe(200);
      await ended(server, id);
      const { body } = await call(server, "GET", path);
      expect(body).toMatchObject({ state: "COMPLETED", completedActions: [1, 6, 7, 2, 3, 4] });
      expect(body.data["4"].output).toEqual({ k1: 23, k2: "200", k3: "nesX" });
    },
    testMs,
  );
}
