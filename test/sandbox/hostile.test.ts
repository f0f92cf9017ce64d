/**
 * Scripts that mean harm, and what must hold: each ends in time with a clear code, the others on
 * the pool go on, and the next script on the same process finds everything as it should be.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { createSandbox } from "../../src/sandbox/pool.ts";

setDefaultTimeout(120_000);

const scriptMs = 250;
const graceMs = 250;
const sandbox = createSandbox({ clock: systemClock, scriptMs, graceMs });
/** Where the deadline is far, so that on a slow machine too another limit is met first. */
const patient = createSandbox({
  clock: systemClock,
  scriptMs: 10_000,
  memoryBytes: 24 * 1024 * 1024,
});
const roomy = createSandbox({ clock: systemClock, scriptMs: 10_000, processes: 1 });
afterAll(() => Promise.all([sandbox, patient, roomy].map((pool) => pool.stop())));

const scriptOf = (expression: string, outputs: Record<string, string> = {}) => ({
  expression,
  input: '{"x":5}',
  execution: "{}",
  actions: Object.fromEntries(
    Object.entries(outputs).map(([key, text]) => [key, `{"output":${text}}`]),
  ),
});
const evaluate = (expression: string, outputs?: Record<string, string>) =>
  sandbox.evaluate(scriptOf(expression, outputs));

const deadline = "did not end within 250 ms";
const memory = "more than 24 MiB of memory";
const stack = "stack is full";
const large = "larger than 3 MiB";

const limited: [script: string, limit: string][] = [
  // Loops that the interpreter notices.
  ["for (;;);", deadline],
  ["try { for (;;); } catch { $.a = 1 } finally { for (;;); }", deadline],
  [
    "function* f() { try { for (;;) yield 1 } finally { for (;;); } } for (const n of f()) if (n) continue",
    deadline,
  ],
  ["(/^(a+)+$/).test('a'.repeat(40) + 'b')", deadline],
  ["(/(?:(?:(?:a*)*)*)*b/).test('a'.repeat(5000))", deadline],
  ["$.a = { toJSON() { for (;;); } }", deadline],
  ["Object.defineProperty($, 'a', { enumerable: true, get() { for (;;); } })", deadline],
  [
    "throw Object.assign(new Error(), { stack: { toString() { for (;;); } }, get name() { for (;;); } })",
    deadline,
  ],
  ["$ = new Proxy({}, { ownKeys() { for (;;); } })", deadline],
  ["`${{ [Symbol.toPrimitive]() { for (;;); } }}`", deadline],
  ["[3, 2, 1].sort(() => { for (;;); })", deadline],
  // Native loops: nothing but a kill ends them.
  ["'a'.repeat(2e7).indexOf('a'.repeat(1e5) + 'b')", deadline],
  ["for (;;) (7n ** 300000n).toString()", deadline],
  ["const a = []; a.length = 4e9; a.lastIndexOf(5)", deadline],
  // Memory.
  ["const a = []; for (;;) a.push([])", memory],
  ["const a = []; for (;;) a.push('x'.repeat(1e5) + a.length)", memory],
  ["const a = []; for (;;) a.push(new ArrayBuffer(1e6))", memory],
  ["const a = new Map(); for (let n = 0; ; n += 1) a.set(n, { n })", memory],
  ["const a = []; for (;;) { try { for (;;) a.push(new Uint8Array(1e5)) } catch {} }", memory],
  ["let a = 'x'; for (;;) a += a", memory],
  ["'x'.repeat(2 ** 29)", memory],
  ["new ArrayBuffer(1e9)", memory],
  ["new Array(1e8).fill(1)", memory],
  ["var a = []; try { for (;;) a.push({}) } catch {} $.a = 1", memory],
  // Stack.
  ["function f() { return f() + 1 } f()", stack],
  ["const f = () => { try { f() } finally { f() } }; f()", ""],
  ["JSON.parse('['.repeat(1e6))", stack],
  ["let a = []; for (let n = 0; n < 1e3; n += 1) a = [a]; a", "more than 128 levels"],
  ["let a = []; for (let n = 0; n < 1e5; n += 1) a = [a]; String(a)", stack],
  ["eval('('.repeat(1e5))", stack],
  ["new Proxy({}, { get(target, key, self) { return self[key] } }).a", stack],
  [
    "const a = { toJSON: () => a }; $.a = a; Object.defineProperty(a, 'b', { enumerable: true, get: () => ({ a }) })",
    "",
  ],
  ["let p = {}; for (let n = 0; n < 5e4; n += 1) p = new Proxy(p, {}); p.a", stack],
  // Output.
  ["'x'.repeat(3 * 1024 * 1024)", large],
  ["'\\u20ac'.repeat(1.2e6)", large],
  ["new Array(7e5).fill(null)", large],
  ["let a = []; for (let n = 0; n < 200; n += 1) a = [a]; a", "more than 128 levels"],
  [
    "const a = {}; let b = a; for (let n = 0; n < 40; n += 1) { b.l = {}; b.r = b.l; b = b.l }; a",
    "",
  ],
];

describe("a script that passes a limit", () => {
  test.each(limited)("%s", async (script, limit) => {
    const pool = limit === deadline || limit === "" ? sandbox : patient;
    const evaluate = (expression: string) => pool.evaluate(scriptOf(expression));
    // Both processes are up and free, so that only the script's own time is measured.
    await Promise.all([evaluate("1"), evaluate("2")]);
    let isOver = false;
    const hostile = evaluate(script).finally(() => {
      isOver = true;
    });
    let others = 0;
    while (!isOver) {
      expect(await evaluate("$.input.x")).toEqual({ ok: true, output: '{"result":5}' });
      others += 1;
      // A trickle: the two cores are for the hostile script.
      await Bun.sleep(5);
    }
    const outcome = await hostile;
    expect(others).toBeGreaterThan(0);
    if (limit === "") expect(outcome.ok ? "" : outcome.code).toStartWith("SCRIPT_");
    else expect(outcome).toMatchObject({ ok: false, code: "SCRIPT_LIMIT" });
    if (!outcome.ok) expect(outcome.message).toContain(limit);
  });
});

const odd = [
  "Object.defineProperty(globalThis, '$', { get() { throw 1 } })",
  "delete globalThis.$; $.a = 1",
  "$ = null",
  "globalThis.$ = () => 1",
  "Object.setPrototypeOf($, null); $.a = 1",
  "Object.setPrototypeOf(globalThis, new Proxy({}, { get() { throw 1 } })); nothing",
  "Object.prototype.then = Object.prototype.toJSON = Object.prototype.message = 5; throw {}",
  "Array.prototype[0] = 'evil'; Object.defineProperty(Array.prototype, 'length', {}); $.a = []",
  "Object.defineProperty(Object.prototype, 'x', { set() { throw 1 } }); $.x = 1",
  "Error.prepareStackTrace = () => { throw 1 }; Error.stackTraceLimit = 1e9; null.a",
  "Promise.reject(new Error('unheard')); 1",
  "new FinalizationRegistry(() => { for (;;); }).register({}); 1",
  "new WeakRef({}).deref(); Atomics.wait(new Int32Array(new SharedArrayBuffer(8)), 0, 0)",
  "throw new InternalError('interrupted')",
  "throw { name: 'Refusal', message: 'output-too-large' }",
];

test.each(odd)("an odd script ends, and harms nobody: %s", async (script) => {
  const outcome = await evaluate(script);
  if (!outcome.ok) expect(outcome.message).not.toBeEmpty();
  else expect(JSON.parse(outcome.output)).toBeObject();
  expect(await evaluate("$.a = [1]")).toEqual({ ok: true, output: '{"a":[1]}' });
});

test("a script may keep 50 MB, and the next one has all of its memory too", async () => {
  const keep =
    "globalThis.a = []; for (let n = 0; n < 50; n += 1) a.push(new Uint8Array(1e6).fill(1)); a.length";
  for (let round = 0; round < 6; round += 1) {
    expect(await roomy.evaluate(scriptOf(keep))).toEqual({ ok: true, output: '{"result":50}' });
  }
});

test("data beyond the memory is refused, data within it is not in the way", async () => {
  const text = JSON.stringify("x".repeat(3_000_000));
  const outputs = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`a${index}`, text]));
  expect(await roomy.evaluate(scriptOf("$.a0.output.length", outputs(4)))).toEqual({
    ok: true,
    output: '{"result":3000000}',
  });
  const refused = await roomy.evaluate(scriptOf("1", outputs(30)));
  expect(refused).toMatchObject({ ok: false, code: "SCRIPT_LIMIT" });
});
