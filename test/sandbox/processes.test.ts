/** The processes under the sandbox: replaced when they end, given up when told, gone when left. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import type { SandboxOptions } from "../../src/sandbox/pool.ts";
import { createSandbox } from "../../src/sandbox/pool.ts";
import type { Sandbox } from "../../src/sandbox/sandbox.ts";

setDefaultTimeout(120_000);

const opened: Sandbox[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((sandbox) => sandbox.stop()));
});

function open(options: Partial<SandboxOptions> = {}): Sandbox {
  const sandbox = createSandbox({ clock: systemClock, ...options });
  opened.push(sandbox);
  return sandbox;
}

const script = (expression: string) => ({
  expression,
  input: '{"x":5}',
  execution: "{}",
  actions: {},
});
/** Burns for minutes; no interrupt reaches it. */
const native = "'a'.repeat(3e7).indexOf('a'.repeat(1e6) + 'b')";
const five = { ok: true, output: '{"result":5}' } as const;

interface ProcessLine {
  readonly pid: number;
  readonly parent: number;
  readonly nice: number;
  readonly state: string;
}

function processes(): ProcessLine[] {
  const { stdout } = Bun.spawnSync(["ps", "-A", "-o", "pid=,ppid=,nice=,stat="]);
  const lines = stdout.toString().trim().split("\n");
  return lines.map((line) => {
    const [pid, parent, nice, state = ""] = line.trim().split(/\s+/);
    return { pid: Number(pid), parent: Number(parent), nice: Number(nice), state };
  });
}

/** Living children of a process, but for `ps` itself. */
const childrenOf = (parent: number) =>
  processes().filter((line) => line.parent === parent && line.nice === 10 && line.state[0] !== "Z");

async function until(isReached: () => boolean, ms: number): Promise<boolean> {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    if (isReached()) return true;
    await Bun.sleep(20);
  }
  return isReached();
}

test("a process that is killed from outside is replaced, and its script run again", async () => {
  const sandbox = open({ processes: 1, scriptMs: 5_000 });
  expect(await sandbox.evaluate(script("$.input.x"))).toEqual(five);
  const [victim] = childrenOf(process.pid);
  const slow = sandbox.evaluate(
    script("const end = Date.now() + 300; while (Date.now() < end); 5"),
  );
  const queued = Array.from({ length: 20 }, () => sandbox.evaluate(script("$.input.x")));
  process.kill(victim!.pid, "SIGKILL");
  expect(await slow).toEqual(five);
  expect(await Promise.all(queued)).toEqual(queued.map(() => five));
});

test("a script that loses two processes is answered, and those behind it too", async () => {
  const sandbox = open({ processes: 1, scriptMs: 60_000 });
  await sandbox.evaluate(script("1"));
  let isAnswered = false;
  const cursed = sandbox.evaluate(script(native)).finally(() => {
    isAnswered = true;
  });
  const behind = sandbox.evaluate(script("$.input.x"));
  // A process may be met while it still starts; the script is not lost by that.
  for (let kills = 0; kills < 10 && !isAnswered; kills += 1) {
    const burning = () => childrenOf(process.pid).find((line) => line.state.startsWith("R"));
    expect(await until(() => isAnswered || burning() !== undefined, 10_000)).toBeTrue();
    const victim = burning();
    if (victim !== undefined && !isAnswered) process.kill(victim.pid, "SIGKILL");
    await until(() => isAnswered || !processes().some((line) => line.pid === victim?.pid), 30_000);
  }
  expect(await cursed).toEqual({
    ok: false,
    code: "SCRIPT_LIMIT",
    message: "The script's process ended each time it ran (SIGKILL).",
  });
  expect(await behind).toEqual(five);
});

/** Running, not waiting for a request. */
function isBurning(pid: number): boolean {
  return processes().some((line) => line.pid === pid && line.state.startsWith("R"));
}

test("when no process can be started, scripts are refused, and have not failed", async () => {
  // More memory than a WASM module can have: each process ends with an error.
  const sandbox = open({ memoryBytes: 2 ** 45 });
  for (const _ of [1, 2]) {
    const outcomes = [sandbox.evaluate(script("1")), sandbox.evaluate(script("2"))];
    for (const outcome of outcomes) {
      const refusal: unknown = await outcome.catch((error) => error);
      expect(refusal).toMatchObject({ code: "UNAVAILABLE" });
      expect(String(refusal)).toContain("No process could be started");
    }
  }
  expect(sandbox.room("")).toBe(0);
});

test.skipIf(process.platform !== "linux")(
  "a process that stood still for longer than a script may take fails none",
  async () => {
    const sandbox = open({ processes: 1, scriptMs: 1_000, graceMs: 100 });
    await sandbox.evaluate(script("1"));
    const [child] = childrenOf(process.pid);
    const slow = sandbox.evaluate(
      script("const end = Date.now() + 400; while (Date.now() < end); 5"),
    );
    await until(() => isBurning(child!.pid), 30_000);
    process.kill(child!.pid, "SIGSTOP");
    await Bun.sleep(1_500);
    process.kill(child!.pid, "SIGCONT");
    expect(await slow).toEqual(five);
    expect(childrenOf(process.pid).map((line) => line.pid)).toEqual([child!.pid]);
  },
);

test.skipIf(process.platform !== "linux")(
  "a script whose process never goes on is run by another one",
  async () => {
    const sandbox = open({ processes: 1, scriptMs: 150, graceMs: 100 });
    await sandbox.evaluate(script("1"));
    const [child] = childrenOf(process.pid);
    process.kill(child!.pid, "SIGSTOP");
    expect(await sandbox.evaluate(script("$.input.x"))).toEqual(five);
    expect(childrenOf(process.pid).map((line) => line.pid)).not.toContain(child!.pid);
  },
);

test("scripts wait in order behind those that burn, and all are answered", async () => {
  const sandbox = open({ scriptMs: 300, graceMs: 200 });
  await Promise.all([sandbox.evaluate(script("1")), sandbox.evaluate(script("2"))]);
  const order: string[] = [];
  const told = (name: string, expression: string) =>
    sandbox.evaluate(script(expression)).then((outcome) => {
      order.push(name);
      return outcome;
    });
  const outcomes = await Promise.all([
    told("burns", native),
    told("burns", native),
    ...Array.from({ length: 6 }, (_, index) => told(`${index}`, "$.input.x")),
    told("burns", native),
  ]);
  expect(outcomes.filter((outcome) => outcome.ok)).toEqual(Array.from({ length: 6 }, () => five));
  expect(order.filter((name) => name === "burns")).toHaveLength(3);
  expect(order.at(-1)).toBe("burns");
});

test("an abort answers at once, whether the script waits or runs", async () => {
  const sandbox = open({ processes: 1, scriptMs: 1_000, graceMs: 500 });
  await sandbox.evaluate(script("1"));
  const [running, waiting] = [new AbortController(), new AbortController()];
  const outcomes = [
    sandbox.evaluate(script("for (;;);"), running.signal),
    sandbox.evaluate(script("$.input.x"), waiting.signal),
    sandbox.evaluate(script("$.input.x"), AbortSignal.abort()),
  ];
  const after = sandbox.evaluate(script("$.input.x"));
  let isOver = false;
  after.finally(() => {
    isOver = true;
  });
  running.abort();
  waiting.abort();
  for (const outcome of await Promise.all(outcomes)) {
    expect(outcome).toMatchObject({ ok: false, code: "SCRIPT_ERROR" });
  }
  // The script that runs ends by its limit, and the next one after it.
  expect(isOver).toBeFalse();
  expect(await after).toEqual(five);
});

test("stop answers everybody and leaves no process", async () => {
  const sandbox = open();
  await Promise.all([sandbox.evaluate(script("1")), sandbox.evaluate(script("2"))]);
  expect(childrenOf(process.pid)).not.toBeEmpty();
  const waiting = [native, native, "1", "2"].map((text) => sandbox.evaluate(script(text)));
  const settled = Promise.allSettled(waiting);
  await sandbox.stop();
  const late = await Promise.allSettled([sandbox.evaluate(script("1"))]);
  // No outcome: the caller must not take the scripts for failed.
  for (const outcome of [...(await settled), ...late]) {
    expect(outcome).toMatchObject({ status: "rejected", reason: { code: "UNAVAILABLE" } });
  }
  expect(childrenOf(process.pid)).toEqual([]);
  await expect(sandbox.check("1")).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("a script process has no environment, yields to the server, and outlives Ctrl-C", async () => {
  const sandbox = open({ processes: 1 });
  expect(await sandbox.evaluate(script("$.input.x"))).toEqual(five);
  const [child] = childrenOf(process.pid);
  expect(child!.nice).toBe(10);
  if (process.platform === "linux") {
    const environment = await Bun.file(`/proc/${child!.pid}/environ`).text();
    expect(environment).toBe("");
  }
  process.kill(child!.pid, "SIGINT");
  process.kill(child!.pid, "SIGTERM");
  expect(await sandbox.evaluate(script("$.input.x"))).toEqual(five);
  expect(childrenOf(process.pid).map((line) => line.pid)).toEqual([child!.pid]);
});

test("a server that is killed leaves no script burning", async () => {
  const server = Bun.spawn([process.execPath, `${import.meta.dir}/orphan.ts`], { stdout: "pipe" });
  const { value } = await server.stdout.getReader().read();
  expect(new TextDecoder().decode(value)).toContain("burning");
  const [child] = childrenOf(server.pid);
  expect(child).toBeDefined();
  expect(await until(() => isBurning(child!.pid), 30_000)).toBeTrue();
  server.kill("SIGKILL");
  await server.exited;
  const isGone = () =>
    processes().every((line) => line.pid !== child!.pid || line.state.startsWith("Z"));
  expect(await until(isGone, 30_000)).toBeTrue();
});

test("while scripts burn, the server goes on answering", async () => {
  const sandbox = open({ scriptMs: 300, graceMs: 200 });
  await Promise.all([sandbox.evaluate(script("1")), sandbox.evaluate(script("2"))]);
  using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("ok") });
  let burnt = 0;
  let isOver = false;
  const burn = async (expressions: string[]) => {
    for (const expression of expressions) {
      await sandbox.evaluate(script(expression));
      burnt += 1;
    }
  };
  const burning = Promise.all([
    burn([native, "for (;;);"]),
    burn(["const a = []; for (;;) a.push({})", native]),
  ]).finally(() => {
    isOver = true;
  });
  let answers = 0;
  for (; !isOver; answers++) {
    await (await fetch(server.url)).text();
    // Scripts yield to the server: it must not take all of the processors.
    await Bun.sleep(2);
  }
  await burning;
  console.log(`${answers} requests were answered while ${burnt} scripts burnt`);
  // Were the scripts in the server's process, each would leave time for one or two.
  expect(answers).toBeGreaterThan(10 * burnt);
});
