/** What is encoded as chunks is what the library encodes: both are read back as the same message. */
import { expect, test } from "bun:test";
import { create, fromBinary } from "@bufbuild/protobuf";
import { encodePoll } from "../../../src/api/rpc/encode.ts";
import {
  CompleteRequestSchema,
  PollRequestSchema,
  PollResponseSchema,
  ResultStatus,
} from "../../../src/gen/orchy/v1/worker_pb.ts";
import { encode } from "../../../src/worker/encode.ts";

const sizes = [0, 1, 127, 128, 4_095, 4_096, 16_384, 70_000, 3_000_000];
const bytes = (size: number) => new Uint8Array(size).fill(0x31);

test("an answer with large and small parameters reads back as it was", () => {
  const tasks = sizes.map((size, index) => ({
    token: `token-${index}`,
    action: "é",
    attempt: index,
    deadlineMs: 2n ** 52n,
    parametersJson: bytes(size),
  }));
  const results = [
    { status: ResultStatus.ACCEPTED },
    { status: ResultStatus.INVALID, message: "x" },
  ];
  const response = create(PollResponseSchema, { tasks, results, draining: true });
  const encoded = encodePoll(response);
  if (encoded instanceof Uint8Array) throw new Error("it was not encoded as chunks");
  // A large payload is not copied.
  expect(encoded).toContain(response.tasks.at(-1)!.parametersJson);
  expect(fromBinary(PollResponseSchema, Buffer.concat(encoded))).toEqual(response);
});

test.each([
  ["a poll", PollRequestSchema, { actions: ["a"], maxTasks: 7, waitSeconds: 2.5 }],
  ["a call with results", CompleteRequestSchema, {}],
])("%s with large and small outputs reads back as it was", (_what, schema, more) => {
  const outputs = sizes.map((size, index) => ({ token: `t${index}`, outputJson: bytes(size) }));
  const failure = { code: "C", message: "m", retryable: false };
  const results = [...outputs, { token: "failed", failure }];
  const request = create(schema, { ...more, workerId: "w", results } as never);
  expect(fromBinary(schema, encode(schema, request))).toEqual(request as never);
});
