/**
 * How deeply a JSON text is nested and how much is in it, which must be known before a parser is
 * let loose on it.
 */
import {
  backslash,
  closeBrace,
  closeBracket,
  colon,
  comma,
  openBrace,
  openBracket,
  quote,
} from "./json-characters.ts";

/** Whether brackets nest deeper than `depthMax`. The text need not be valid JSON. */
export function isTooDeep(text: string, depthMax: number): boolean {
  // Most texts hold fewer brackets, which is seen at the speed of memory.
  if (!holdsMore(text, "{", depthMax / 2) && !holdsMore(text, "[", depthMax / 2)) return false;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === quote) {
      i = endOfString(text, i);
    } else if (unit === openBracket || unit === openBrace) {
      depth++;
      if (depth > depthMax) return true;
    } else if (unit === closeBracket || unit === closeBrace) {
      depth--;
    }
  }
  return false;
}

/**
 * Whether a text has more values and names of members than `partsMax`, which a parser would make:
 * names count twice, as they cost as much. The text need not be valid JSON.
 */
export function holdsMoreParts(text: string, partsMax: number): boolean {
  // Each takes a character at least.
  if (text.length <= partsMax) return false;
  let parts = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === quote) i = endOfString(text, i);
    else if (unit === comma || unit === openBracket || unit === openBrace) parts += 1;
    else if (unit === colon) parts += 2;
    if (parts > partsMax) return true;
  }
  return false;
}

function holdsMore(text: string, character: string, most: number): boolean {
  let at = -1;
  for (let count = 0; count <= most; count++) {
    at = text.indexOf(character, at + 1);
    if (at < 0) return false;
  }
  return true;
}

/** Position of the closing quote, or the text's length. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let first = end;
    while (first - 1 > start && text.charCodeAt(first - 1) === backslash) first -= 1;
    // An odd number of backslashes before it makes the quote part of the string.
    if ((end - first) % 2 === 0) return end;
  }
  return text.length;
}
