/**
 * What JSON says and the types of protobuf cannot hold is noted in texts of a
 * `google.protobuf.Value` on its way through a message: numbers that a double would round, and why
 * a result is wrong. The notes begin with a secret of this process, which no answer shows, so that
 * no caller's text is taken for one.
 */
import { randomBytes } from "node:crypto";
import { skipString } from "../../language/data/json-text.ts";
import type { JsonText } from "../../model/json.ts";
import { canonicalNumber } from "../../model/numbers.ts";

const secret = randomBytes(12).toString("base64url");
const numberMark = `${secret}#`;
const refusalMark = `${secret}!`;

/** Only what has as many digits, or such an exponent, may be more than a double holds. */
const maybeRounded = /\d[\d.]{15,}|\d[eE][+-]?\d{3,}/g;
const number = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const integer = /^-?[1-9]\d*$/;
const partOfNumber = /[\d.eE+-]/;

/** Writes numbers that a double would round as notes. The text need not be valid JSON. */
export function noteNumbers(text: string): string {
  let noted = "";
  let copied = 0;
  let open = text.indexOf('"');
  maybeRounded.lastIndex = 0;
  for (let found = maybeRounded.exec(text); found !== null; found = maybeRounded.exec(text)) {
    let end = 0;
    while (open >= 0 && open < found.index) {
      end = skipString(text, open);
      open = text.indexOf('"', end);
    }
    if (end > found.index) {
      // They are part of a string.
      maybeRounded.lastIndex = end;
      continue;
    }
    let start = found.index;
    while (start > copied && partOfNumber.test(text[start - 1]!)) start -= 1;
    let after = maybeRounded.lastIndex;
    while (after < text.length && partOfNumber.test(text[after]!)) after += 1;
    maybeRounded.lastIndex = after;
    const token = text.slice(start, after);
    if (!isRounded(token)) continue;
    noted += `${text.slice(copied, start)}"${numberMark}${token}"`;
    copied = after;
  }
  return copied === 0 ? text : noted + text.slice(copied);
}

function isRounded(token: string): boolean {
  if (!number.test(token)) return false;
  const written = String(Number(token));
  if (written === token) return false;
  // Integers of up to 21 digits have one spelling: a payload may be full of them.
  if (integer.test(token) && integer.test(written)) return true;
  return canonicalNumber(written) !== canonicalNumber(token);
}

/** The number that a text notes, as it was written; undefined for any other text. */
export function notedNumber(text: string): string | undefined {
  return text.startsWith(numberMark) ? text.slice(numberMark.length) : undefined;
}

const notes = new RegExp(`"${numberMark}([\\d.eE+-]+)"`, "g");

/** JSON with the numbers that were noted in it. */
export function writeNotedNumbers(text: JsonText): JsonText {
  return text.includes(numberMark) ? text.replace(notes, "$1") : text;
}

export function noteRefusal(reason: string): string {
  return `${refusalMark}${reason}`;
}

/** Why the result that holds this text is wrong; undefined for any other text. */
export function notedRefusal(text: string): string | undefined {
  return text.startsWith(refusalMark) ? text.slice(refusalMark.length) : undefined;
}
