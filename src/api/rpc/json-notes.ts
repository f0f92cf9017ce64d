/**
 * What JSON says and the types of protobuf cannot hold is noted in texts of a `google.protobuf.Value`
 * on its way through a message: integers beyond 2^53, and why a result is wrong. The notes begin with
 * a secret of this process, which no answer shows, so that no caller's text is taken for one.
 */
import { randomBytes } from "node:crypto";
import { skipString } from "../../language/data/json-text.ts";
import type { JsonText } from "../../model/json.ts";

const secret = randomBytes(12).toString("base64url");
const numberMark = `${secret}#`;
const refusalMark = `${secret}!`;

/** Shorter ones are exact as a double. */
const digits = /\d{16,}/g;
const integer = /^-?[1-9]\d*$/;
const partOfNumber = /[\d.eE+]/;

/** Writes integers that a double would round as notes. The text need not be valid JSON. */
export function noteIntegers(text: string): string {
  let noted = "";
  let copied = 0;
  let open = text.indexOf('"');
  digits.lastIndex = 0;
  for (let found = digits.exec(text); found !== null; found = digits.exec(text)) {
    let end = 0;
    while (open >= 0 && open < found.index) {
      end = skipString(text, open);
      open = text.indexOf('"', end);
    }
    if (end > found.index) {
      // They are part of a string.
      digits.lastIndex = end;
      continue;
    }
    const start = text[found.index - 1] === "-" ? found.index - 1 : found.index;
    const token = text.slice(start, digits.lastIndex);
    const around = `${text[start - 1] ?? ""}${text[digits.lastIndex] ?? ""}`;
    if (partOfNumber.test(around) || !isRounded(token)) continue;
    noted += `${text.slice(copied, start)}"${numberMark}${token}"`;
    copied = digits.lastIndex;
  }
  return copied === 0 ? text : noted + text.slice(copied);
}

function isRounded(token: string): boolean {
  const value = Number(token);
  return integer.test(token) && Number.isFinite(value) && String(value) !== token;
}

/** The number that a text notes, as it was written; undefined: the text is no such note. */
export function notedNumber(text: string): string | undefined {
  return text.startsWith(numberMark) ? text.slice(numberMark.length) : undefined;
}

export function noteNumber(value: number): string {
  return `${numberMark}${value}`;
}

const notes = new RegExp(`"${numberMark}(-?\\d+)"`, "g");

/** JSON with the integers that were noted in it. */
export function writeNotedIntegers(text: JsonText): JsonText {
  return text.includes(numberMark) ? text.replace(notes, "$1") : text;
}

export function noteRefusal(reason: string): string {
  return `${refusalMark}${reason}`;
}

/** Why the result that this text stands in is wrong; undefined: the text is no such note. */
export function notedRefusal(text: string): string | undefined {
  return text.startsWith(refusalMark) ? text.slice(refusalMark.length) : undefined;
}
