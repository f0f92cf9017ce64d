/** Numbers by their exact value. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  canonicalNumber,
  compareNumbers,
  isExactNumber,
  parseExact,
} from "../../src/model/numbers.ts";

test.each([
  ["200", ["200", "200.0", "2e2", "2E+2", "20.00e1", "2000e-1"]],
  ["0", ["0", "-0", "0.0", "-0e9"]],
  ["-1.5", ["-1.5", "-1.50", "-15e-1", "-0.15e1"]],
  ["0.000001", ["1e-6", "0.0000010"]],
  ["1e-7", ["0.0000001", "10e-8"]],
  ["1.23e-7", ["0.000000123", "123e-9"]],
  ["356686000032329832", ["356686000032329832", "356686000032329832.0", "3566860000323298.32e2"]],
  ["1000000000000000000000000", ["1e24", "1000000000000000000000000"]],
  ["1e+401", ["1e401", "0.1e402"]],
  ["1e99999999999999999", ["1e99999999999999999"]],
])("%s", (canonical, texts) => {
  expect(texts.map(canonicalNumber)).toEqual(texts.map(() => canonical));
});

test("doubles are written as JavaScript does; other values have texts of their own", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const text = canonicalNumber(String(value));
      expect(Number(text)).toBe(value === 0 ? 0 : value);
      expect(canonicalNumber(text)).toBe(text);
      if (Math.abs(value) < 1e21) expect(text).toBe(String(value));
    }),
  );
  const digits = fc.stringMatching(/^[1-9]\d{0,39}$/);
  fc.assert(
    fc.property(digits, digits, fc.integer({ min: -50, max: 50 }), (one, other, exponent) => {
      const equal = BigInt(one) === BigInt(other);
      const texts = [`${one}e${exponent}`, `${other}e${exponent}`].map(canonicalNumber);
      expect(texts[0] === texts[1]).toBe(equal);
    }),
  );
});

test("are in the order of their exact values, however they are written", () => {
  const order = ["-1e400", "-9007199254740993", "-9007199254740992.5", "-1.5", "-15e-11", "0"];
  order.push("1e-400", "0.1", "0.10000000000000000001", "9.99", "10", "9007199254740992");
  order.push("9007199254740993", "1234567890123456789012", "1e400", "1.1e400");
  for (const [at, one] of order.entries()) {
    for (const [other, text] of order.entries()) {
      expect([one, text, Math.sign(compareNumbers(one, text))]).toEqual([
        one,
        text,
        Math.sign(at - other) + 0,
      ]);
    }
  }
  for (const zero of ["0.0", "-0", "0e5"]) expect(compareNumbers(zero, "0") === 0).toBe(true);
  expect(compareNumbers("1e9999999999999999", "1")).toBeNaN();
  const decimal = fc.tuple(fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }), fc.nat(30));
  fc.assert(
    fc.property(decimal, decimal, ([one, oneExponent], [other, otherExponent]) => {
      const found = compareNumbers(`${one}e-${oneExponent}`, `${other}E-0${otherExponent}`);
      const scaled = one * 10n ** BigInt(otherExponent) - other * 10n ** BigInt(oneExponent);
      expect(Math.sign(found) + 0).toBe(scaled === 0n ? 0 : scaled < 0n ? -1 : 1);
    }),
  );
});

test("only what a double would round is kept as text, and written as it was", () => {
  const kept = ["9007199254740993", "1.00000000000000000001", "1e400", "0.30000000000000004441"];
  const plain = [
    "9007199254740992",
    "0.30000000000000004",
    "1e22",
    "1.0000000000000000000",
    "2e-8",
  ];
  const read = parseExact(`{"kept":[${kept}],"plain":[${plain}],"text":"${kept[0]}"}`) as {
    kept: unknown[];
    plain: unknown[];
    text: unknown;
  };
  expect(read.kept.every(isExactNumber)).toBe(true);
  expect(JSON.stringify(read.kept)).toBe(`[${kept}]`);
  expect(read.plain).toEqual(plain.map(Number));
  expect(read.text).toBe(kept[0]);
});
