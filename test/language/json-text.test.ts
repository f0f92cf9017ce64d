import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { pick } from "../../src/language/data/json-text.ts";
import { TextIndex } from "../../src/language/data/text-index.ts";
import { Work } from "../../src/language/data/work.ts";

type Path = readonly (string | number)[];

/** Keys that are awkward, and few enough that random paths often hit. */
const key = fc.constantFrom(
  "a",
  "b",
  "0",
  "1",
  "",
  "__proto__",
  "constructor",
  '"',
  "\\",
  "é\n",
  "a ",
);
const { value: awkwardJson } = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: "small" }, tie("scalar"), tie("array"), tie("object")),
  scalar: fc.oneof(fc.string(), fc.double({ noNaN: true }), fc.boolean(), fc.constant(null)),
  array: fc.array(tie("value"), { maxLength: 4 }),
  object: fc.array(fc.tuple(key, tie("value")), { maxLength: 4 }).map(withOwnKeys),
}));

function withOwnKeys(entries: [string, unknown][]): unknown {
  return Object.fromEntries(entries);
}

const path: fc.Arbitrary<Path> = fc.array(fc.oneof(key, fc.nat(3)), { maxLength: 4 });

/** Writes JSON with random white space, and at times with every character of a key escaped. */
function write(value: unknown, chance: () => number): string {
  const space = () => ["", " ", "\n\t", "\r "][chance() % 4]!;
  if (Array.isArray(value)) {
    return `[${space()}${value.map((item) => write(item, chance) + space()).join(",")}]`;
  }
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(
    ([name, member]) =>
      `${space()}${writeKey(name, chance)}${space()}:${space()}${write(member, chance)}`,
  );
  return `{${members.join(`${space()},`)}${space()}}`;
}

function writeKey(name: string, chance: () => number): string {
  if (chance() % 2 === 0) return JSON.stringify(name);
  const units = Array.from({ length: name.length }, (_, at) => name.charCodeAt(at));
  return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("")}"`;
}

function walk(value: unknown, steps: Path): unknown {
  let at = value;
  for (const step of steps) {
    if (typeof at !== "object" || at === null) return undefined;
    if (Array.isArray(at) && !/^(0|[1-9]\d*)$/.test(String(step))) return undefined;
    if (!Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string | number, unknown>)[step];
  }
  return at;
}

function parsed(text: string | undefined): unknown {
  return text === undefined ? undefined : JSON.parse(text);
}

describe("pick", () => {
  test("finds what parsing and walking would find, however the text is written", () => {
    fc.assert(
      fc.property(awkwardJson, path, fc.infiniteStream(fc.nat(7)), (value, steps, chances) => {
        const text = write(value, () => chances.next().value);
        expect(parsed(pick(text, steps))).toEqual(walk(JSON.parse(text), steps));
        const index = new TextIndex(text, new Work());
        // The second look at a value takes another way than the first, and so may the third.
        for (let look = 0; look < 3; look++) expect(index.pick(steps)).toEqual(pick(text, steps));
      }),
      { numRuns: 2_000 },
    );
  });

  test("gives numbers as they are written", () => {
    const text = '{"big":12345678901234567890,"float":[1.0, 1e400 ,-0]}';
    expect(pick(text, ["big"])).toBe("12345678901234567890");
    expect(pick(text, ["float", 0])).toBe("1.0");
    expect(pick(text, ["float", 1])).toBe("1e400");
    expect(pick(text, ["float", "2"])).toBe("-0");
  });

  test("takes the last of repeated keys, also when one of them is escaped", () => {
    expect(pick('{"a":1,"a":{"b":2},"a":{"c":3}}', ["a", "c"])).toBe("3");
    expect(pick('{"a":1,"a":{"b":2},"a":{"c":3}}', ["a", "b"])).toBeUndefined();
    expect(pick('{"a":1,"\\u0061":2}', ["a"])).toBe("2");
    expect(pick('{"\\u0061":1,"a":2}', ["a"])).toBe("2");
  });

  test("finds no inherited, negative or derived members", () => {
    expect(pick("{}", ["__proto__"])).toBeUndefined();
    expect(pick("{}", ["constructor"])).toBeUndefined();
    expect(pick("[1,2]", ["length"])).toBeUndefined();
    expect(pick("[1,2]", [-1])).toBeUndefined();
    expect(pick("[1,2]", ["01"])).toBeUndefined();
    expect(pick('"text"', [0])).toBeUndefined();
    expect(pick('{"__proto__":{"x":1}}', ["__proto__", "x"])).toBe("1");
  });

  test("gives the whole value without the space around it", () => {
    expect(pick(' \n{"a": 1}\t', [])).toBe('{"a": 1}');
  });
});

function entriesOf(text: string): unknown[] {
  const index = new TextIndex(text, new Work());
  return index.children(0).map((child) => JSON.parse(index.textOf(child)));
}

test("the children of a value are its members, each key once, or its elements", () => {
  fc.assert(
    fc.property(awkwardJson, fc.infiniteStream(fc.nat(7)), (value, chances) => {
      const text = write(value, () => chances.next().value);
      const isContainer = typeof value === "object" && value !== null;
      expect(entriesOf(text)).toEqual(isContainer ? Object.values(JSON.parse(text)) : []);
    }),
  );
  expect(entriesOf('{"a":1,"b":2,"\\u0061":3}')).toEqual([3, 2]);
  expect(entriesOf('{"\\ud83d\\ude00":1,"😀":2,"\\ud83d":3}')).toEqual([2, 3]);
});

test("keys that look like the one that is wanted, or hold the text around one, are others", () => {
  const keys = [
    "user7",
    "user77",
    "user777",
    "User77",
    'user77":1,"',
    "user77\\u0000",
    "\\",
    '"',
    "é",
  ];
  const escaped = keys.map((name, at) => {
    const units = Array.from({ length: name.length }, (_, unit) => name.charCodeAt(unit));
    const written = units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
    return `"${written}":${at + 100}`;
  });
  const plain = keys.map((name, at) => `${JSON.stringify(name)}:${at}`);
  const text = `{${[...plain, ...escaped].join(",")},"last":[${plain.length}]}`;
  const index = new TextIndex(text, new Work());
  for (const [at, name] of keys.entries()) {
    expect(pick(text, [name])).toBe(`${at + 100}`);
    for (let look = 0; look < 2; look++) expect(index.pick([name])).toBe(`${at + 100}`);
  }
  expect(pick(text, ['":1,"'])).toBeUndefined();
});
