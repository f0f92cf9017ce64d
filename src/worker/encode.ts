/** Encodes requests: results may carry megabytes, which are copied once. */
import type { DescMessage, Message, MessageShape } from "@bufbuild/protobuf";
import { toBinary } from "@bufbuild/protobuf";
import { largePayloadBytesMin, payloadChunks } from "../base/payload-chunks.ts";
import {
  CompleteRequestSchema,
  PollRequestSchema,
  type TaskResult,
  TaskResultSchema,
} from "../gen/orchy/v1/worker_pb.ts";

/** The messages that carry results, with the number of their list. */
const lists = new Map<DescMessage, number>([
  [PollRequestSchema, PollRequestSchema.field.results.number],
  [CompleteRequestSchema, CompleteRequestSchema.field.results.number],
]);
const payload = TaskResultSchema.field.outputJson.number;
const nothing = new Uint8Array();

export function encode<Schema extends DescMessage>(
  schema: Schema,
  message: MessageShape<Schema>,
): Uint8Array {
  const list = lists.get(schema);
  if (list === undefined) return toBinary(schema, message);
  const { results } = message as Message & { readonly results: readonly TaskResult[] };
  if (!results.some(({ outputJson }) => outputJson.length >= largePayloadBytesMin)) {
    return toBinary(schema, message);
  }
  const items = results.map((result) => ({
    head: toBinary(TaskResultSchema, { ...result, outputJson: nothing }),
    payload: result.outputJson,
  }));
  const bare = toBinary(schema, { ...message, results: [] });
  return Buffer.concat(payloadChunks(bare, items, { list, payload }));
}
