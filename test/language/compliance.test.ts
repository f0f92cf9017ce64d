/** The cases of RFC 9535, each as the RFC has it or for one of the reasons that docs/language.md names. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import {
  parseReference,
  ReferenceSyntaxError,
  resolveReference,
} from "../../src/language/data/reference.ts";
import type { Json } from "../../src/model/json.ts";
import { viewOf } from "../support/view.ts";

interface Case {
  readonly name: string;
  readonly selector: string;
  readonly document?: Json;
  readonly result?: readonly Json[];
  readonly results?: readonly (readonly Json[])[];
  readonly invalid_selector?: boolean;
}

const file = join(import.meta.dirname, "../fixtures/jsonpath-compliance/cts.json.gz");
const cases: readonly Case[] = JSON.parse(gunzipSync(readFileSync(file)).toString()).tests;

/** `$` of the case is the input; `$` in quotes is text. */
function referenceOf(selector: string): string {
  return selector.replace(/'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|\$/gs, (found) =>
    found === "$" ? "$.input" : found,
  );
}

/** What the path finds, or "refused". */
function outcome({ selector, document }: Case): readonly Json[] | "refused" {
  try {
    const reference = parseReference(referenceOf(selector));
    const found = resolveReference(reference, viewOf({ input: JSON.stringify(document ?? null) }));
    if (!reference.definite) return JSON.parse(found!);
    return found === undefined ? [] : [JSON.parse(found)];
  } catch (error) {
    if (error instanceof ReferenceSyntaxError) return "refused";
    throw error;
  }
}

function isMet(each: Case): boolean {
  const found = outcome(each);
  if (each.invalid_selector === true) return found === "refused";
  const wanted = each.results ?? [each.result!];
  return wanted.some((list) => Bun.deepEquals(list, found, true));
}

/** By the sentences of docs/language.md on what differs; the first that applies counts. */
const differences: Readonly<Record<string, (each: Case) => boolean>> = {
  functions: ({ selector }) => /\w\(/.test(selector),
  "white space outside of filters": ({ name }) => name.startsWith("whitespace, "),
  "lists of selectors": ({ name }) => name.includes("multiple selectors"),
  "repeated keys": ({ selector }) => /\[(\S+), ?\1\]/.test(selector),
  "negative indexes": ({ selector }) => /^\$\[-[1-9]\d?\]$/.test(selector),
  "16 digits": ({ selector }) => selector.includes("9007199254740991"),
  "steps of 0": ({ selector }) => selector === "$[1:2:0]",
  "-0": ({ selector }) => selector.includes("-0"),
  "control characters": ({ name }) => name.includes("embedded U+00"),
  escapes: ({ selector }) => /\\(?:u|['"])/.test(selector),
  "numerals as names": ({ selector }) => /\$\.1$|@\[(?:0|'0')\] == 5/.test(selector),
};

test("the cases of RFC 9535 are met, or differ for a documented reason", () => {
  const counts: Record<string, number> = {};
  for (const each of cases) {
    const differs = Object.keys(differences).find((reason) => differences[reason]!(each));
    const reason = isMet(each) ? "met" : (differs ?? `${each.name}: ${each.selector}`);
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  expect(counts).toEqual({
    met: 463,
    functions: 83,
    "white space outside of filters": 39,
    "lists of selectors": 14,
    "repeated keys": 12,
    "negative indexes": 3,
    "16 digits": 8,
    "steps of 0": 1,
    "-0": 3,
    "control characters": 64,
    escapes: 10,
    "numerals as names": 3,
  });
});
