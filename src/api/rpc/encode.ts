/** Encodes answers: those of polls, which may carry megabytes, without copying what they carry. */
import { type DescMessage, type Message, toBinary, toJsonString } from "@bufbuild/protobuf";
import { largePayloadBytesMin, payloadChunks } from "../../base/payload-chunks.ts";
import { type PollResponse, PollResponseSchema, TaskSchema } from "../../gen/orchy/v1/worker_pb.ts";
import type { MountedMethod } from "./call.ts";
import { writeNotedNumbers } from "./json-notes.ts";

export type Encoding = "proto" | "json";

export function encode({ method }: MountedMethod, encoding: Encoding, output: Message) {
  const schema = method.output;
  if (encoding === "json") return writeNotedNumbers(toJsonString(schema, output));
  return schema === PollResponseSchema
    ? encodePoll(output as PollResponse)
    : toBinary(schema, output);
}

/** What a message takes in an answer to this caller. */
export function encodedBytes(
  schema: DescMessage,
  message: Message,
  { json }: { readonly json: boolean },
): number {
  if (!json) return toBinary(schema, message).length;
  return Buffer.byteLength(writeNotedNumbers(toJsonString(schema, message)));
}

const nothing = new Uint8Array();
const numbers = {
  list: PollResponseSchema.field.tasks.number,
  payload: TaskSchema.field.parametersJson.number,
};

export function encodePoll(response: PollResponse): Uint8Array<ArrayBuffer> | Uint8Array[] {
  const { tasks } = response;
  if (!tasks.some((task) => task.parametersJson.length >= largePayloadBytesMin)) {
    return toBinary(PollResponseSchema, response);
  }
  const items = tasks.map((task) => ({
    head: toBinary(TaskSchema, { ...task, parametersJson: nothing }),
    payload: task.parametersJson,
  }));
  return payloadChunks(toBinary(PollResponseSchema, { ...response, tasks: [] }), items, numbers);
}
