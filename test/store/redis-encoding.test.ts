/** What goes to Redis, byte by byte: commands, and values as MessagePack. */
import { expect, test } from "bun:test";
import { Command } from "ioredis";
import { pack, packInto, written } from "../../src/store/redis/pack.ts";
import { ArgumentWriter, encodeCommand } from "../../src/store/redis/resp.ts";

const texts = [
  ...["", "a", "ü", "😀", "\0", "\r\n", "line\nline", "x".repeat(9), "x".repeat(10)],
  // Texts whose bytes have more digits than their units, at every length at which that happens.
  ...["ü".repeat(5), "ü".repeat(9), "ü".repeat(50), "ü".repeat(99), "😀".repeat(400)],
  ...["x".repeat(24), "x".repeat(25), `${"x".repeat(23)}ü`, "y".repeat(300_000)],
  ...["lone \ud800 surrogate", "€".repeat(200_000)],
];

test("a command is what the client would have written", () => {
  const args = [...texts, Buffer.from("bytes"), Buffer.alloc(0), Buffer.alloc(70_000, "z"), "end"];
  const expected = Buffer.from(new Command("evalsha", args).toWritable({}));
  expect(encodeCommand("evalsha", args).equals(expected)).toBe(true);
  const numbers = encodeCommand("evalsha", [0, 1.5, -3, 1_760_000_000_000]).toString();
  expect(numbers).toBe(
    "*5\r\n$7\r\nevalsha\r\n$1\r\n0\r\n$3\r\n1.5\r\n$2\r\n-3\r\n$13\r\n1760000000000\r\n",
  );
});

test("what was encoded stays as it was when more is", () => {
  const first = encodeCommand("set", ["a", "1"]);
  const packed = written((out) => packInto(out, ["a", 1, false]));
  const copies = [first, packed].map((bytes) => Buffer.from(bytes));
  for (let i = 0; i < 3; i++) {
    encodeCommand("set", ["b", "y".repeat(200_000)]);
    pack("z".repeat(200_000));
  }
  expect([first, packed]).toEqual(copies);
  expect(packed.toString("latin1")).toBe("\xd9\x01a\x01\xc2");
});

test("what cannot be packed is refused, and nothing of it is left", () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, undefined as never]) {
    expect(() => pack(["begun", bad])).toThrow();
    expect(pack(1)).toEqual(Buffer.from([1]));
  }
});

test("what was written before follows on the arguments, whatever its length", () => {
  const writer = new ArgumentWriter();
  const lengths = [0, 1, 9, 10, 99, 100, 999, 1_000, 9_999, 10_000, 300_000];
  for (const length of lengths) {
    const at = writer.begin();
    writer.out.text("x".repeat(length));
    writer.end(at);
  }
  for (const text of texts) writer.text(text);
  const written = writer.take();
  expect(written.count).toBe(lengths.length + texts.length);
  const all = ["first", ...lengths.map((length) => "x".repeat(length)), ...texts, "last"];
  writer.text("last");
  const expected = Buffer.from(new Command("evalsha", all).toWritable({}));
  const encoded = encodeCommand("evalsha", ["first"], [written, writer.take()]);
  expect(encoded.equals(expected)).toBe(true);
});
