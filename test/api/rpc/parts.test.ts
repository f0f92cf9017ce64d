/** Requests that decode to far more than was sent are refused before they are decoded. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { checkBinaryParts } from "../../../src/api/rpc/parts.ts";
import { limits } from "../../../src/base/limits.ts";
import { CompleteRequestSchema, WorkerService } from "../../../src/gen/orchy/v1/worker_pb.ts";
import { type Edge, startEdge } from "./edge.ts";
import { call } from "./http.ts";

const { rpcItemsMax, rpcPartsMax } = limits;

let edge: Edge;
beforeAll(async () => {
  edge = await startEdge();
});
afterAll(() => edge.stop());

type Options = Pick<
  Parameters<typeof createGrpcTransport>[0],
  "useBinaryFormat" | "sendCompression" | "compressMinBytes"
>;
const transports: Readonly<Record<string, (options: Options) => Transport>> = {
  Connect: (options) =>
    createConnectTransport({ ...options, baseUrl: edge.url, httpVersion: "1.1" }),
  "gRPC-Web": (options) =>
    createGrpcWebTransport({ ...options, baseUrl: edge.url, httpVersion: "1.1" }),
  gRPC: (options) => createGrpcTransport({ ...options, baseUrl: edge.grpcUrl }),
};
const packed = { sendCompression: compressionGzip, compressMinBytes: 0 };
const forms: Readonly<Record<string, Options>> = {
  "": {},
  " packed": packed,
  " of JSON": { useBinaryFormat: false },
  " of packed JSON": { useBinaryFormat: false, ...packed },
};
const calls = Object.keys(transports).flatMap((name) =>
  Object.keys(forms).map((form) => [`${name}${form}`, name, form] as const),
);

test.each(calls)("%s: a list that is longer than any may be", async (_name, name, form) => {
  const client = createClient(WorkerService, transports[name]!(forms[form]!));
  const results = Array.from({ length: rpcItemsMax + 1 }, () => ({}));
  const refused = await client.complete({ results }).then(() => undefined, ConnectError.from);
  expect(refused?.code).toBe(Code.InvalidArgument);
  expect(refused?.rawMessage).toContain(`/results: has more than ${rpcItemsMax} items`);
  // It is a call like any other up to there.
  const answer = await client.complete({ results: results.slice(0, 2) });
  expect(answer.results).toHaveLength(2);
});

const complete = "/orchy.v1.WorkerService/Complete";
const withOutput = (output: string) => `{"results":[{"token":"x","output":${output}}]}`;

test("JSON of too many values and members", async () => {
  const zeros = (count: number) => `[${"0,".repeat(count - 1)}0]`;
  const many = await call(`${edge.url}${complete}`, withOutput(zeros(rpcPartsMax)));
  expect(many.code).toBe("resource_exhausted");
  expect(many.message).toContain(`more than ${rpcPartsMax} parts`);
  const commas = JSON.stringify(",".repeat(rpcPartsMax + 1));
  const text = await call(`${edge.url}${complete}`, withOutput(commas));
  expect(text.json.results).toEqual([{ status: "RESULT_STATUS_STALE" }]);
});

const tagged = (tag: number, bytes: Buffer): Buffer => {
  const writer = new BinaryWriter().uint32(tag).bytes(bytes);
  return Buffer.from(writer.finish());
};

test("messages of too many values, in lists and as members of objects", () => {
  const list = (items: number) => tagged(0x32, Buffer.alloc(2 * items, Buffer.from([0x0a, 0])));
  const member = Buffer.concat([tagged(0x0a, Buffer.from("k")), tagged(0x12, list(1_000))]);
  const struct = (members: number) =>
    tagged(0x2a, Buffer.concat(Array.from({ length: members }, () => tagged(0x0a, member))));
  const check = (output: Buffer) =>
    checkBinaryParts(CompleteRequestSchema, tagged(0x0a, tagged(0x12, output)));
  const refusal = `more than ${rpcPartsMax} parts`;
  expect(() => check(list(rpcPartsMax))).toThrow(refusal);
  expect(() => check(list(rpcPartsMax - 10))).not.toThrow();
  expect(() => check(struct(rpcPartsMax / 1_000))).toThrow(refusal);
  expect(() => check(struct(rpcPartsMax / 2_000))).not.toThrow();
});
