import { expect, test } from "bun:test";
import { inBytes, inTime } from "../../src/base/amount.ts";

test.each([
  [0, "0 bytes"],
  [4_999, "4,999 bytes"],
  [64 * 1024, "64 KiB"],
  [3 * 1024 * 1024, "3 MiB"],
  [3_670_016, "3.5 MiB"],
  [3 * 1024 * 1024 - 64 * 1024, "3,008 KiB"],
  [1024 ** 3, "1 GiB"],
])("%d bytes are %s", (bytes, text) => expect(inBytes(bytes)).toBe(text));

test.each([
  [25, "25 ms"],
  [1_500, "1.5 s"],
  [1_234, "1,234 ms"],
  [60_000, "60 s"],
  [120_000, "2 minutes"],
  [24 * 3_600_000, "24 hours"],
  [7 * 86_400_000, "7 days"],
])("%d ms are %s", (ms, text) => expect(inTime(ms)).toBe(text));
