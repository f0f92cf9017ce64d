import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { elementTexts, memberTexts, pick, TextIndex } from "../../src/engine/json-text.ts";

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
        expect(new TextIndex().pick(text, steps)).toEqual(pick(text, steps));
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

test("members and elements put together again are the value", () => {
  fc.assert(
    fc.property(awkwardJson, fc.infiniteStream(fc.nat(7)), (value, chances) => {
      const text = write(value, () => chances.next().value);
      const members = memberTexts(text);
      const elements = elementTexts(text);
      if (Array.isArray(value)) expect(elements?.map(parsed)).toEqual(JSON.parse(text));
      else expect(elements).toBeUndefined();
      if (members === undefined) {
        expect(typeof value !== "object" || value === null || Array.isArray(value)).toBe(true);
        return;
      }
      const again = [...members].map(([name, member]): [string, unknown] => [name, parsed(member)]);
      expect(Object.fromEntries(again)).toEqual(JSON.parse(text));
    }),
  );
});

test("an index finds in large texts what pick finds", () => {
  const rows = Array.from({ length: 500 }, (_, at) => ({
    id: at,
    "0": { deep: [at, `row ${at}`] },
  }));
  const text = JSON.stringify({ rows, last: "x".repeat(5_000), "": rows });
  const index = new TextIndex();
  const paths: Path[] = [
    [],
    ["rows", 499, "0", "deep", 1],
    ["rows", "7", 0, "deep", "0"],
    ["", 3, "id"],
    ["last"],
    ["last", 0],
    ["rows", -1],
    ["rows", "length"],
    ["none", "of", "it"],
  ];
  for (const steps of [...paths, ...paths])
    expect(index.pick(text, steps)).toEqual(pick(text, steps));
});
