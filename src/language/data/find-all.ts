/** Follows paths that may find many values. */
import { inBytes } from "../../base/amount.ts";
import { unreachable } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { JsonText } from "../../model/json.ts";
import { FilterTester } from "./filter-tester.ts";
import type { FilterQuery, PathStep } from "./path-step.ts";
import type { TextIndex } from "./text-index.ts";
import type { Work } from "./work.ts";

/**
 * The text of an array of all values that the path finds, in the order of the text. `outer`: the text
 * of what a path in a filter finds that begins with `$`.
 */
export function findAll(
  index: TextIndex,
  steps: readonly PathStep[],
  work: Work,
  outer: (query: FilterQuery) => JsonText | undefined,
): JsonText {
  const walk = { index, tester: new FilterTester({ index, work, outer, find: follow }) };
  return listOf(index, follow(0, steps), work);

  function follow(from: number, way: readonly PathStep[]): readonly number[] {
    let found: readonly number[] = [from];
    for (const step of way) {
      const next: number[] = [];
      for (const value of found) collect(walk, value, step, next);
      found = next;
    }
    return found;
  }
}

function listOf(index: TextIndex, found: readonly number[], work: Work): JsonText {
  const texts: JsonText[] = [];
  let chars = 2;
  for (let first = 0, last = 0; first < found.length; first = ++last) {
    // Neighbours stand in the text as they will in the list: an array's elements are one piece.
    while (last + 1 < found.length && index.isBefore(found[last]!, found[last + 1]!)) last++;
    const text = index.textOf(found[first]!, found[last]!);
    chars += text.length + 1;
    if (chars > limits.payloadBytesMax)
      work.tooLarge(`finds more than ${inBytes(limits.payloadBytesMax)}`);
    texts.push(text);
  }
  return `[${texts.join(",")}]`;
}

interface Walk {
  readonly index: TextIndex;
  readonly tester: FilterTester;
}

function collect({ index, tester }: Walk, value: number, step: PathStep, into: number[]): void {
  switch (step.kind) {
    case "member":
      collectKeys(index, value, [step.key], into);
      break;
    case "union":
      collectKeys(index, value, step.keys, into);
      break;
    case "wildcard":
      for (const child of index.children(value)) into.push(child);
      break;
    case "slice":
      if (index.isArray(value)) collectSlice(index.children(value), step, into);
      break;
    case "filter":
      for (const child of index.children(value)) {
        if (tester.passes(child, step.filter)) into.push(child);
      }
      break;
    case "descendants":
      collectDescendants(index, value, into);
      break;
    default:
      unreachable(step);
  }
}

function collectKeys(
  index: TextIndex,
  value: number,
  keys: readonly (string | number)[],
  into: number[],
): void {
  for (const key of keys) {
    const child = index.child(value, key);
    if (child >= 0) into.push(child);
  }
}

/** As in RFC 9535: a negative bound counts from the end, a negative step goes backwards. */
function collectSlice(
  elements: readonly number[],
  slice: Extract<PathStep, { kind: "slice" }>,
  into: number[],
): void {
  const { by } = slice;
  const { length } = elements;
  const lowest = by > 0 ? 0 : -1;
  const highest = by > 0 ? length : length - 1;
  const bound = (given: number | undefined, otherwise: number) => {
    if (given === undefined) return otherwise;
    return Math.min(Math.max(given < 0 ? given + length : given, lowest), highest);
  };
  const start = bound(slice.start, by > 0 ? lowest : highest);
  const end = bound(slice.end, by > 0 ? highest : lowest);
  for (let at = start; by > 0 ? at < end : at > end; at += by) into.push(elements[at]!);
}

/** The value itself and all that is inside, without what is empty or no object or array. */
function collectDescendants(index: TextIndex, value: number, into: number[]): void {
  const open = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const children = index.children(next);
    if (children.length > 0) into.push(next);
    for (let at = children.length - 1; at >= 0; at--) open.push(children[at]!);
  }
}
