/**
 * What keeps the code readable and no compiler or linter checks: nothing exported in vain, sentences
 * that take their numbers from the constants, literals that stand where they are used, Lua in small
 * functions.
 */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { limits } from "../src/base/limits.ts";

const root = join(import.meta.dirname, "..");

function readFiles(folder: string, ending: string): Map<string, string> {
  const paths = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .map((path) => join(folder, path))
    .filter((path) => path.endsWith(ending) && !path.includes("node_modules"));
  return new Map(paths.map((path) => [path, readFileSync(join(root, path), "utf8")]));
}

const all = new Map(
  ["src", "test", "scripts", "examples"].flatMap((folder) => [...readFiles(folder, ".ts")]),
);
const sources = new Map(
  [...all].filter(([path]) => path.startsWith("src/") && !path.startsWith("src/gen/")),
);
const lua = readFiles("src/store/redis/scripts", ".lua");

/** What others may import without anybody here doing so. */
const published = ["src/worker/index.ts"];

const exported =
  /^export (?:declare )?(?:abstract )?(?:const|let|class|interface|type|enum|(?:async )?function\*?) ([A-Za-z_$][\w$]*)/gm;
const imported = /(?:import|export)\s+(?:type\s+)?([^"';]*?)\s*from\s*"(\.[^"]+)"/g;

/** By file: the names that other files take from it. */
function takenNames(): Map<string, Set<string>> {
  const taken = new Map<string, Set<string>>();
  for (const [path, text] of all) {
    for (const [, clause = "", specifier = ""] of text.matchAll(imported)) {
      const from = join(dirname(path), specifier);
      const names = taken.get(from) ?? new Set<string>();
      taken.set(from, names);
      const whole = /\*(?: as (\w+))?/.exec(clause);
      if (whole !== null) {
        const uses = whole[1] && [...text.matchAll(new RegExp(`\\b${whole[1]}\\.(\\w+)`, "g"))];
        for (const [, name] of uses || []) names.add(name!);
        // Passed on, or taken as a value: all of it may be used.
        const isValue = new RegExp(`(?:\\.\\.\\.|[(,=] ?)${whole[1] ?? ""}\\b(?!\\.)`).test(text);
        if (whole[1] === undefined || isValue) names.add("*");
      }
      for (const [, name] of clause.matchAll(/(?:[{,]\s*(?:type\s+)?)([\w$]+)/g)) names.add(name!);
    }
    for (const [, names = "", specifier = ""] of text.matchAll(
      /\{([^{}]*)\}\s*=\s*await import\(\s*"(\.[^"]+)"/g,
    )) {
      const from = join(dirname(path), specifier);
      const known = taken.get(from) ?? new Set<string>();
      taken.set(from, known);
      for (const name of names.split(",")) known.add(name.split(":")[0]!.trim());
    }
  }
  return taken;
}

/** JavaScript: without types and comments, so that what is left of a text is code and sentences. */
const transpiler = new Bun.Transpiler({ loader: "ts" });

/** Numbers with their unit, in a text. None is too small to be a bound. */
const numberInSentence =
  /(?<![\w.}-])[1-9][\d,._]* (?:[KMG]i?B|bytes|characters|seconds|minutes|hours|ms|s|levels)\b/g;
/** Numbers that are not ours. */
const numbersOfOthers = ["gRPC's default 4 MiB"];

describe("src", () => {
  test("exports nothing that nobody imports", () => {
    const taken = takenNames();
    const dead: string[] = [];
    for (const [path, text] of sources) {
      if (published.includes(path)) continue;
      const names = taken.get(path) ?? new Set();
      for (const [, name = ""] of text.matchAll(exported)) {
        if (!names.has(name) && !names.has("*")) dead.push(`${path}: ${name}`);
      }
    }
    expect(dead).toEqual([]);
  });

  test("takes the numbers of its sentences from the constants", () => {
    const typed: string[] = [];
    for (const [path, text] of sources) {
      const code = numbersOfOthers.reduce(
        (left, one) => left.replaceAll(one, ""),
        transpiler.transformSync(text),
      );
      for (const [found] of code.matchAll(numberInSentence)) typed.push(`${path}: ${found}`);
    }
    expect(typed).toEqual([]);
  });

  test("spreads no literal of an object, neither always nor where something is defined", () => {
    const always = /[{,]\s*\.\.\.\{/;
    const whereDefined =
      /\.\.\.\([^()\n]*[!=]==? (?:undefined|null) (?:&&|\?)\s*\{(?! \w+: (?:true|\w+Schema) \})/;
    const spread = [...sources].filter(([, text]) => always.test(text) || whereDefined.test(text));
    expect(spread.map(([path]) => path)).toEqual([]);
  });

  test("has each limit in one theme, and uses it", () => {
    const texts = [...sources].filter(([path]) => !path.startsWith("src/base/limits"));
    const declared = [...sources].flatMap(([path, text]) =>
      path.startsWith("src/base/limits/") ? [...text.matchAll(/^ {2}(\w+):/gm)] : [],
    );
    const names = declared.map(([, name]) => name!);
    expect(names.toSorted()).toEqual(Object.keys(limits).toSorted());
    const words = new Set(texts.flatMap(([, text]) => text.match(/\w+/g) ?? []));
    expect(names.filter((name) => !words.has(name))).toEqual([]);
  });
});

describe("the Lua of Redis", () => {
  test("has few parameters and short functions", () => {
    const wrong: string[] = [];
    for (const [path, text] of lua) {
      for (const [head, name, parameters] of text.matchAll(/function ([\w.]*)\(([^)]*)\)/g)) {
        if (parameters!.split(",").length > 5) wrong.push(`${path}: ${name} has many parameters`);
        const body = text.slice(text.indexOf(head));
        const lines = body
          .slice(0, body.search(/^end\b/m))
          .split("\n")
          .filter((line) => line.trim());
        if (lines.length > 70) wrong.push(`${path}: ${name} has ${lines.length} lines`);
      }
      if (text.split("\n").length > 300) wrong.push(`${path} is long`);
    }
    expect(wrong).toEqual([]);
    expect(lua.size).toBeGreaterThan(20);
  });
});
