/** What scripts see and what becomes of what they leave: the javascript action's semantics. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { createSandbox } from "../../src/sandbox/pool.ts";
import type { ScriptInput } from "../../src/sandbox/sandbox.ts";
import order from "../support/examples/order.json";
import seed from "../support/examples/seed.json";

setDefaultTimeout(120_000);

/** A far deadline: nothing here is about it, and machines may have much else to do. */
const sandbox = createSandbox({ clock: systemClock, scriptMs: 10_000 });
afterAll(() => sandbox.stop());

const data = {
  input: JSON.stringify({ x: 5, list: [1, 2, 3], text: "grüße \u{1f600}" }),
  execution: '{"id":"e-1","workflow":"w","version":3}',
  actions: { "1": '{"output":{"key1":"200","key2":39}}', price: '{"output":{"total":120}}' },
};

async function run(expression: string, rest: Partial<ScriptInput> = {}) {
  return sandbox.evaluate({ ...data, ...rest, expression });
}

async function outputOf(expression: string, rest: Partial<ScriptInput> = {}): Promise<unknown> {
  const outcome = await run(expression, rest);
  if (!outcome.ok) throw new Error(`${outcome.code} ${outcome.message}`);
  return JSON.parse(outcome.output);
}

async function failureOf(expression: string, rest: Partial<ScriptInput> = {}): Promise<string> {
  const outcome = await run(expression, rest);
  if (outcome.ok) throw new Error(`it answered ${outcome.output}`);
  return `${outcome.code} ${outcome.message}`;
}

const scriptOf = (definition: { actions: object[] }) =>
  (definition.actions as { expression?: string; name: string }[]).find(
    (action) => action.name === "javascript",
  )!.expression!;

describe("the example workflows", () => {
  test("seed.json", async () => {
    const outputs = (key1: string) => ({
      actions: { "1": JSON.stringify({ output: { key1, key2: 39 } }) },
    });
    expect(await outputOf(scriptOf(seed), outputs("200"))).toEqual({ x: "nesX" });
    expect(await outputOf(scriptOf(seed), outputs("404"))).toEqual({});
  });

  test("order.json", async () => {
    const input = (quantity: number, shipping: string) =>
      JSON.stringify({ shipping, lines: [{ quantity, unitPrice: 30 }] });
    const script = scriptOf(order);
    expect(await outputOf(script, { input: input(4, "express"), actions: {} })).toEqual({
      total: 120,
      express: true,
    });
    expect(await outputOf(script, { input: input(1, "slow"), actions: {} })).toEqual({
      total: 35,
      express: false,
    });
  });
});

const outputs: [what: string, script: string, output: unknown][] = [
  ["a property left on $", "$.a = 1; $['b'] = [$.input.x]", { a: 1, b: [5] }],
  ["properties win over the completion value", "$.a = 1; ({ b: 2 })", { a: 1 }],
  ["a plain object as completion value", "({ b: 2, c: undefined })", { b: 2 }],
  ["an object without a prototype", "Object.assign(Object.create(null), { b: 2 })", { b: 2 }],
  ["nothing", "", {}],
  ["$ itself is what was given, not an output", "$", {}],
  ["$ under another name", "const all = $; all", {}],
  ["$ with something new", "$.a = 1; $", { a: 1 }],
  ["the first $, when there is another", "const all = $; $ = {}; all", {}],
  ["another $ without anything new", "$ = { input: 1 }; $", {}],
  ["the input is a value like any other", "$.input", JSON.parse(data.input)],
  ["an undefined completion value", "if ($.input.x > 100) { 7 }", {}],
  ["a declaration has no value", "const a = 1; let b = 2; function f() {}", {}],
  ["a number", "1 + 1", { result: 2 }],
  ["a string", "`${$.input.text}!`", { result: "grüße \u{1f600}!" }],
  ["null", "null", { result: null }],
  ["an array", "$.input.list.map((n) => n * 2)", { result: [2, 4, 6] }],
  ["the value of the last expression statement", "5; if (true) { 'in' } var x", { result: "in" }],
  ["an assignment to the input is its value", "$.input.x = 6", { result: 6 }],
  ["a date, as JSON has it", "new Date(0)", { result: "1970-01-01T00:00:00.000Z" }],
  [
    "what JSON has no number for",
    "$.a = NaN; $.b = -Infinity; $.c = -0",
    { a: null, b: null, c: 0 },
  ],
  ["undefined in an array and an object", "$.a = [undefined, { b: undefined }]", { a: [null, {}] }],
  ["an undefined property is not there", "$.a = undefined; 5", { result: 5 }],
  ["a deleted property", "$.a = 1; delete $.a; undefined", {}],
  [
    "a map and a set have no members in JSON",
    "$.a = new Map([[1, 2]]); $.b = new Set([1])",
    { a: {}, b: {} },
  ],
  ["a class instance is wrapped", "class P { a = 1 }; new P()", { result: { a: 1 } }],
  ["toJSON of a member", "$.a = { toJSON() { return 'json' } }", { a: "json" }],
  [
    "a getter of the script",
    "Object.defineProperty($, 'a', { enumerable: true, get: () => 4 })",
    { a: 4 },
  ],
  ["a hidden property is not output", "Object.defineProperty($, 'a', { value: 1 }); undefined", {}],
  ["a symbol as a key is not output", "$[Symbol('a')] = 1; undefined", {}],
  ["a proxy", "$.a = new Proxy({ b: 1 }, {})", { a: { b: 1 } }],
  [
    "the same object twice is no cycle",
    "const o = { z: 1 }; $.a = o; $.b = [o, o]",
    { a: { z: 1 }, b: [{ z: 1 }, { z: 1 }] },
  ],
  ["lone surrogates and NUL", "$.a = '\\ud800\\u0000'", { a: "\ud800\u0000" }],
  ["a new $", "$ = { a: $.input.x, input: 1, price: 2 }", { a: 5, price: 2 }],
  [
    "what was set under the name of an action that has run",
    "$['1'] = 3; $.price.output.total = 5; $.input.x = 6; $.a = 7",
    { 1: 3, a: 7 },
  ],
  [
    "what an action has put out, set again",
    "const p = $.price; $.price = p",
    { price: { output: { total: 120 } } },
  ],
  ["a changed and deleted output", "$.price.output = 5; delete $['1']; undefined", {}],
  ["an output that was deleted and set", "delete $.price; $.price = 5", { price: 5 }],
  ["more than an output holds", "$.price += 1; $['1'] ??= 2", { price: "[object Object]1" }],
  [
    "a property of an action's name by its definition",
    "Object.defineProperty($, 'price', { enumerable: true, get: () => 4 })",
    { price: 4 },
  ],
  ["a copy of $ with more", "$ = { ...$, a: 1 }", { a: 1 }],
  ["a copy of $ with less and other", "const { price, ...$$ } = $; $ = $$; $[1] = 2", { 1: 2 }],
  ["frozen data", "Object.freeze($); Object.seal($); $.price.output = 5; 6", { result: 6 }],
  ["input and execution are never output", "$.input = 1; $.execution = 2; undefined", {}],
  ["a sloppy global", "total = 3; this.total + globalThis.total", { result: 6 }],
  [
    "a strict script",
    "'use strict'; (function () { return this === undefined })()",
    { result: true },
  ],
  [
    "Date and Math.random",
    "$.a = Date.now() > 1.6e12; const r = Math.random(); $.b = r >= 0 && r < 1",
    { a: true, b: true },
  ],
  ["eval of the sandbox's own", "eval('1 + 2')", { result: 3 }],
];

describe("output", () => {
  test.each(outputs)("%s", async (_what, script, output) => {
    expect(await outputOf(script)).toEqual(output as object);
  });

  test("route is taken off and given beside the output", async () => {
    expect(await run("$.route = 'big'; $.a = 1")).toEqual({
      ok: true,
      output: '{"a":1}',
      route: "big",
    });
    expect(await run("$.route = 'big'; ({ a: 1 })")).toEqual({
      ok: true,
      output: '{"a":1}',
      route: "big",
    });
    expect(await run("$.route = 'big'")).toEqual({ ok: true, output: "{}", route: "big" });
    expect(await run("$.route = 'a\"\\n\\u0000'; null")).toEqual({
      ok: true,
      output: '{"result":null}',
      route: 'a"\n\0',
    });
    expect(await run("$.route = 5")).toEqual({ ok: true, output: '{"route":5}' });
  });

  test("further members are there to be read, and never output", async () => {
    const rest = { members: { last: '{"n":4}', iteration: "2" } };
    const script = "$.iteration += 1; $.a = $.last.n + $.iteration";
    expect(await outputOf(script, rest)).toEqual({ a: 7 });
  });
});

const readings: [script: string, value: unknown][] = [
  ["$['1'].output.key1", "200"],
  ["$[1].output.key2", 39],
  ["$.price.output.total", 120],
  ["$.execution.version", 3],
  ["Object.keys($).join()", "1,input,execution,price"],
  ["JSON.stringify($.price)", '{"output":{"total":120}}'],
  [
    "JSON.stringify($).length",
    JSON.stringify({
      "1": { output: JSON.parse(data.actions["1"]).output },
      input: JSON.parse(data.input),
      execution: JSON.parse(data.execution),
      price: { output: { total: 120 } },
    }).length,
  ],
  ["'price' in $ && $.hasOwnProperty('price') && !('other' in $)", true],
  ["const { input: { x }, ...rest } = $; x + Object.keys(rest).length", 8],
  ["$.input === $.input && $['1'] === $[1]", true],
  ["$.input.x = 9; $.input.y = 1; $.input.x + $.input.y", 10],
  ["$.price = 3; const p = $.price; delete $.price; p", 3],
  ["delete $.price; typeof $.price", "undefined"],
  ["$.input.x; Object.getOwnPropertyDescriptor($, 'input').value.x", 5],
  ["Object.freeze($); $.input.x = 8; $.input.x", 8],
  ["const copy = Object.create($); copy.input = 1; $.input.x", 5],
  ["Object.prototype.get = Object.prototype.value = 1; $.input.x", 5],
  ["JSON.parse = () => 0; $.input.x", 5],
];

describe("the data", () => {
  test.each(readings)("%s", async (script, value) => {
    expect(await outputOf(script)).toEqual({ result: value });
  });

  test("a __proto__ key is data, in and out", async () => {
    const input = '{"__proto__":{"evil":1},"constructor":2}';
    const names = { actions: JSON.parse('{"__proto__":"{\\"output\\":{\\"a\\":7}}"}') };
    expect(
      await outputOf("$.a = Object.keys($.input); $.b = $.input.evil === undefined", { input }),
    ).toEqual({ a: ["__proto__", "constructor"], b: true });
    expect(await run("$.a = $.input", { input })).toEqual({ ok: true, output: `{"a":${input}}` });
    expect(await outputOf("$['__proto__'].output.a", names)).toEqual({ result: 7 });
  });

  test("members are parsed only when they are touched", async () => {
    expect(await outputOf("$.a = 1", { actions: { bad: "{not json" } })).toEqual({ a: 1 });
    expect(await failureOf("$.bad", { actions: { bad: "{not json" } })).toStartWith(
      "SCRIPT_ERROR SyntaxError",
    );
  });

  test("a megabyte goes in and out unchanged", async () => {
    const rows = JSON.stringify(
      Array.from({ length: 12_000 }, (_, id) => ({ id, text: `é "${id}" \u{1f600}\\` })),
    );
    const outcome = await run("$.rows = $.input", { input: rows });
    expect(outcome).toEqual({ ok: true, output: `{"rows":${rows}}` });
  });
});

const failures: [what: string, script: string, message: string][] = [
  [
    "an exception has its place",
    "const a = 1;\n  a.b.c",
    "TypeError: cannot read property 'c' of undefined (line 2, column 6)",
  ],
  [
    "inside a function",
    "function f() {\n  throw new Error('no')\n}\nf()",
    "Error: no (line 2, column 18)",
  ],
  [
    "a syntax error",
    "$.a = 1;\n$.b = = 2",
    "SyntaxError: unexpected token in expression: '=' (line 2, column 7)",
  ],
  ["a module's syntax", "import fs from 'fs'", "SyntaxError: expecting '(' (line 1, column 8)"],
  ["a second $", "let $ = 1", "SyntaxError: redeclaration of '$'"],
  ["a string thrown", "throw 'gone'", "gone"],
  ["an object thrown", "throw { code: 7 }", '{"code":7}'],
  ["null thrown", "throw null", "null"],
  ["a symbol thrown", "throw Symbol('s')", "Symbol(s)"],
  [
    "a thing that cannot be shown",
    "throw { get message() { throw 1 } }",
    "a value that cannot be shown",
  ],
  [
    "an odd toString",
    "throw Object.create({ toString() { throw 1 } })",
    "a value that cannot be shown",
  ],
  [
    "an odd error",
    "throw Object.assign(new Error(), { name: {}, message: {}, stack: 5 })",
    "[object Object]: [object Object]",
  ],
  ["a function", "$.f = () => 1", 'The output holds a function at "f", which JSON cannot carry.'],
  [
    "a function as a value",
    "(() => 1)",
    'The output holds a function at "result", which JSON cannot carry.',
  ],
  ["a symbol", "$.a = [Symbol()]", 'The output holds a symbol at "0", which JSON cannot carry.'],
  ["a BigInt", "$.a = { b: 10n }", 'The output holds a BigInt at "b", which JSON cannot carry.'],
  [
    "a promise",
    "(async () => 1)()",
    'The output holds a promise at "result", which JSON cannot carry.',
  ],
  ["a cycle", "$.a = { $ }", "The output refers to itself (a cycle), which JSON cannot carry."],
  [
    "toJSON that throws",
    "$.a = { toJSON() { throw new TypeError('t') } }",
    "TypeError: t (line 1, column 39)",
  ],
  ["$ is gone", "$ = 5", "`$` is no longer an object."],
  ["no console", "console.log(1)", "ReferenceError: 'console' is not defined (line 1, column 1)"],
];

describe("what fails", () => {
  test.each(failures)("%s", async (_what, script, message) => {
    expect(await failureOf(script)).toBe(`SCRIPT_ERROR ${message}`);
  });

  test("a message is cut", async () => {
    expect((await failureOf("throw new Error('x'.repeat(1e6))")).length).toBeLessThan(5_000);
  });

  test("promise jobs do not run", async () => {
    expect(await outputOf("Promise.resolve().then(() => { $.late = 1 }); ({ a: 1 })")).toEqual({
      a: 1,
    });
  });
});

describe("check", () => {
  test("answers what is wrong and where", async () => {
    expect(await sandbox.check("$.a = 1;\nif (")).toMatch(
      /^SyntaxError: .+ \(line 2, column \d+\)$/,
    );
    expect(await sandbox.check("/(/.test('')")).toMatch(/^SyntaxError/);
    expect(await sandbox.check("return 5")).toMatch(/^SyntaxError/);
  });

  test("never runs anything", async () => {
    expect(await sandbox.check("for (;;); throw 1")).toBeUndefined();
    expect(await sandbox.check(scriptOf(order))).toBeUndefined();
  });

  test("survives nesting without end", async () => {
    for (const open of ["(", "[", "{", "a=>", "!", "${`"]) {
      const answer = await sandbox.check(
        open === "${`" ? `\`${open.repeat(20_000)}` : open.repeat(60_000),
      );
      expect(answer).toBeString();
    }
    expect(await sandbox.check("1 + 1")).toBeUndefined();
  });
});

describe("isolation", () => {
  test("nothing of a script is there for the next", async () => {
    const dirt = [
      "Object.prototype.evil = 1; Array.prototype.push = null; JSON.stringify = () => 'evil'",
      "globalThis.evil = 1; var evil2 = 2; Object.defineProperty(Object.prototype, 'toJSON', { value: () => 'evil' })",
      "Object.freeze(Object.prototype); Symbol.for('evil'); $.input.evil = 1; RegExp.prototype.exec = null",
    ];
    const look =
      "$.a = [typeof evil, typeof evil2, {}.evil, [].push.name, Object.isFrozen(Object.prototype), $.input.evil]";
    for (const script of dirt) {
      for (let round = 0; round < 4; round += 1) await run(script);
      const seen = await outputOf(look);
      expect(seen).toEqual({ a: ["undefined", "undefined", null, "push", false, null] });
    }
  });

  test("chance differs from script to script", async () => {
    const draw = () =>
      outputOf("Array.from({ length: 50 }, Math.random)") as Promise<{ result: number[] }>;
    const first = (await draw()).result;
    expect((await draw()).result).not.toEqual(first);
    const mean = first.reduce((sum, number) => sum + number, 0) / first.length;
    expect(mean).toBeWithin(0.2, 0.8);
  });

  test("no way leads to the server", async () => {
    const names = "Object.getOwnPropertyNames(globalThis)";
    const hosts = [
      "process",
      "Bun",
      "require",
      "console",
      "setTimeout",
      "fetch",
      "WebAssembly",
      "std",
      "os",
      "performance",
      "print",
      "Worker",
    ];
    expect(
      await outputOf(`$.a = ${names}.filter((name) => ${JSON.stringify(hosts)}.includes(name))`),
    ).toEqual({ a: [] });
    for (const start of [
      "$",
      "$.input",
      "Object.getOwnPropertyDescriptor($, 'input').get",
      "(() => {})",
      "(async () => {})()",
    ]) {
      const chain = `typeof ${start}.constructor.constructor('return typeof process + typeof Bun + typeof require')()`;
      expect(
        await outputOf(`${start}.constructor.constructor('return typeof process + typeof Bun')()`),
      ).toEqual({ result: "undefinedundefined" });
      expect(await outputOf(chain)).toEqual({ result: "string" });
    }
    expect(await failureOf("import('node:fs')")).toContain("promise");
  });
});
