/** Bodies that are packed: unpacked within the limits, in every coding that is promised. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  brotliCompressSync,
  constants,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from "node:zlib";
import { endsWithFrame } from "../../../src/api/zstd-frames.ts";
import { inBytes } from "../../../src/base/amount.ts";
import { limits } from "../../../src/base/limits.ts";
import { startTestServer, type TestServer } from "./support.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(async () => {
  expect(server.log.filter((line) => line.level === "error")).toEqual([]);
  await server.stop();
});

type Pack = (text: string | Buffer) => Buffer;
const quick = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } };
const brotli: Pack = (text) => brotliCompressSync(text, quick);

/** What a header names, and the body that fits it. */
const packings: readonly [string, Pack][] = [
  ["identity", (text) => Buffer.from(text)],
  ["gzip", (text) => gzipSync(text)],
  ["X-GZIP", (text) => gzipSync(text)],
  ["deflate", (text) => deflateSync(text)],
  ["deflate", (text) => deflateRawSync(text)],
  ["br", brotli],
  ["zstd", (text) => zstdCompressSync(text)],
  ["ZSTD", (text) => zstdCompressSync(text, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })],
  ["deflate, identity,, br", (text) => brotli(deflateSync(text))],
  ["gzip, gzip, zstd", (text) => zstdCompressSync(gzipSync(gzipSync(text)))],
];

const definition = (name: string, description = "") =>
  JSON.stringify({
    name,
    rootAction: 1,
    description,
    actions: [{ id: 1, type: "user", name: "a" }],
  });

async function post(path: string, encoding: string, body: Buffer) {
  const headers = { "content-type": "application/json", "content-encoding": encoding };
  const response = await fetch(server.url + path, { method: "POST", headers, body });
  const text = await response.text();
  return { status: response.status, text, accepted: response.headers.get("accept-encoding") };
}

const paths = ["/v1/workflows/validate", "/workflow", "/metadata/workflow"];
const poll = "/orchy.v1.WorkerService/Poll";

describe.each(packings)("%s", (encoding, pack) => {
  test("is unpacked by every style of route, and by the worker service", async () => {
    for (const path of paths) {
      const reply = await post(path, encoding, pack(definition("packed")));
      expect([path, reply.status, reply.text]).toEqual([path, 200, expect.any(String)]);
    }
    const polled = await post(poll, encoding, pack('{"actions":["a"]}'));
    expect([polled.status, polled.text]).toEqual([200, "{}"]);
    // Nothing at all, where nothing is needed.
    expect((await post("/v1/executions", encoding, Buffer.alloc(0))).text).toContain("is empty");
  });

  if (encoding === "identity") return;

  test("is refused when it is cut off, when more follows, and when it is something else", async () => {
    const text = definition("packed", "x1y2z3 ".repeat(9));
    const whole = pack(text);
    const cuts = [1, 2, 3, 5, 9, whole.length >> 1, whole.length - 1];
    const bodies = [
      ...cuts.map((end) => whole.subarray(0, end)),
      Buffer.concat([whole, Buffer.from("{}")]),
      Buffer.from(text),
      Buffer.from("{}"),
    ];
    for (const [index, body] of bodies.entries()) {
      for (const path of ["/v1/workflows", "/workflow", poll]) {
        const reply = await post(path, encoding, body);
        expect([path, index, reply.status]).toEqual([path, index, 400]);
        expect(reply.text).toMatch(/is not valid or complete (gzip|deflate|br|zstd)/);
      }
    }
  });

  test("is bounded while it is unpacked", async () => {
    const { definitionBytesMax, restBodyBytesMax, requestBytesMax } = limits;
    for (const [path, bytesMax] of [
      ["/v1/workflows", definitionBytesMax],
      ["/workflow", definitionBytesMax],
      ["/v1/executions", restBodyBytesMax],
      [poll, requestBytesMax],
    ] as const) {
      const fits = await post(path, encoding, pack(Buffer.alloc(bytesMax, " ")));
      expect([path, fits.status]).toEqual([path, 400]);
      expect(fits.text).toMatch(/The body is (empty|not valid JSON)/);
      const bomb = await post(path, encoding, pack(Buffer.alloc(4 * bytesMax, " ")));
      expect([path, bomb.status]).toEqual([path, 413]);
      expect(bomb.text).toContain(`${inBytes(bytesMax)} when decompressed`);
    }
  });
});

test("the largest definition is stored exactly as it was before it was packed", async () => {
  const words = Array.from({ length: 200_000 }, (_, n) => (n * 2_654_435_761) % 1_000_003);
  const description = words.join(" ").slice(0, limits.descriptionCharsMax);
  const text = definition("exact", description);
  const padded = text.replace("{", `{${" ".repeat(limits.definitionBytesMax - text.length)}`);
  const saved = await post("/v1/workflows", "gzip, br", brotli(gzipSync(padded)));
  expect(saved.status).toBe(201);
  const read = await fetch(`${server.url}/v1/workflows/exact`);
  expect(await read.json()).toMatchObject({ definition: JSON.parse(text) });
});

test("unknown and too many codings are refused with those that are accepted", async () => {
  for (const encoding of ["compress", "gzip, lzma", "brotli", "*", "gzip,gzip,gzip,gzip"]) {
    for (const path of paths) {
      const reply = await post(path, encoding, gzipSync(definition("packed")));
      expect([encoding, reply.status]).toEqual([encoding, 415]);
      expect(reply.accepted).toBe("gzip, deflate, br, zstd");
      expect(reply.text).toContain("in up to 3 of gzip, deflate, br, zstd");
    }
    const polled = await post(poll, encoding, gzipSync("{}"));
    expect([encoding, polled.status]).toEqual([encoding, 501]);
    expect(polled.text).toContain("gzip, deflate, br, zstd");
  }
});

test("zstd whose window is larger than any body is refused", async () => {
  // A header that asks for 128 MiB, and one empty last block.
  const frame = Buffer.from("28b52ffd0088010000", "hex");
  const reply = await post("/v1/workflows", "zstd", frame);
  expect([reply.status, reply.text]).toEqual([
    400,
    expect.stringContaining("is not valid or complete zstd"),
  ]);
});

test("a body of very many parts of zstd does not hold the main thread", async () => {
  const blocks = 500_000;
  const header = Buffer.from("28b52ffd0048", "hex");
  const body = Buffer.concat([header, Buffer.alloc(3 * blocks)]);
  body[body.length - 3] = 1;
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  expect(await endsWithFrame(new Uint8Array(body))).toBe(true);
  isOver = true;
  expect(turns).toBeGreaterThan(blocks / 20_000);
  const reply = await post("/v1/executions", "zstd", body);
  expect([reply.status, reply.text]).toEqual([400, expect.stringContaining("is empty")]);
});
