/**
 * Where and why a text is not JSON, which JSON.parse of this runtime does not say. Only a text that
 * it has refused is read here.
 */
import { visit } from "jsonc-parser";
import { OrchyError } from "../base/errors.ts";

interface SyntaxProblem {
  /** From 0, in UTF-16 units. In a number: where it begins. */
  readonly offset: number;
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** What should have been there. */
  readonly expected: string;
}

/** For longer texts the place is not searched. */
const charsMax = 512 * 1024;

/** By ParseErrorCode, a const enum of the package's types: its values have no names when it runs. */
const stringProblems: ReadonlyMap<number, string> = new Map([
  [12, "a closing double quote"],
  [14, "four hexadecimal digits after \\u"],
  [15, "a valid escape"],
  [16, "an escape for a control character"],
]);
const unexpectedEndOfNumber = 13;
/** CloseBraceExpected and CloseBracketExpected: reported after the end that is missing. */
const missingEnds: readonly number[] = [7, 8];

/** The answer to a request whose body JSON.parse has refused. */
export function notJson(text: string): OrchyError {
  const problem = text.length > charsMax ? undefined : findSyntaxProblem(text);
  if (problem === undefined) {
    return new OrchyError("INVALID_ARGUMENT", "The body is not valid JSON.");
  }
  const { line, column, expected, offset } = problem;
  const message = `The body is not valid JSON at line ${line}, column ${column}: expected ${expected}.`;
  return new OrchyError("INVALID_ARGUMENT", message, [], { position: offset });
}

/** Undefined when the text is valid JSON. It may nest as deep as bodies may: the parser recurses. */
export function findSyntaxProblem(text: string): SyntaxProblem | undefined {
  let found: { readonly offset: number; readonly expected: string } | undefined;
  /** Closing characters of what is open. */
  const open: string[] = [];
  let expected = "a JSON value";
  let expectedBeforeEnd = expected;
  const begin = (close: string, inside: string) => () => {
    open.push(close);
    expected = inside;
  };
  const afterValue = () => {
    expected = open.length === 0 ? "the end of the text" : `"," or "${open.at(-1)}"`;
  };
  const end = () => {
    expectedBeforeEnd = expected;
    open.pop();
    afterValue();
  };
  const expectedAt = (code: number) => {
    if (missingEnds.includes(code)) return expectedBeforeEnd;
    return code === unexpectedEndOfNumber ? "more digits" : (stringProblems.get(code) ?? expected);
  };
  visit(
    text,
    {
      onObjectBegin: begin("}", 'a member name in double quotes or "}"'),
      onObjectProperty: () => {
        expected = '":"';
      },
      onObjectEnd: end,
      onArrayBegin: begin("]", 'a JSON value or "]"'),
      onArrayEnd: end,
      onLiteralValue: afterValue,
      onSeparator: (character) => {
        const isMember = character === "," && open.at(-1) === "}";
        expected = isMember ? "a member name in double quotes" : "a JSON value";
      },
      onError: (code, offset) => {
        found ??= stringProblems.has(code)
          ? { offset: offset + validLength(text, offset), expected: expectedAt(code) }
          : { offset, expected: expectedAt(code) };
      },
    },
    { disallowComments: true },
  );
  if (found === undefined) return undefined;
  const before = text.slice(0, found.offset);
  const line = before.split("\n").length;
  return { ...found, line, column: found.offset - before.lastIndexOf("\n") };
}

/** A quote, and what follows it as far as a string may go on like that. */
const validPart = /"(?:[ !#-[\]-\uffff]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y;

/** The parser names the beginning of a wrong string: how far it is valid from there. */
function validLength(text: string, start: number): number {
  validPart.lastIndex = start;
  return validPart.exec(text)?.[0].length ?? 0;
}
