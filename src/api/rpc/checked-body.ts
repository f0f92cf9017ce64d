/**
 * The body of a unary call of gRPC or gRPC-Web: its messages are unpacked, their parts counted and
 * their JSON checked before the library, which has no place for it, decodes them.
 */
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { tooLarge } from "../body.ts";
import type { Unpacker } from "../unpacker.ts";
import { isJson } from "./call.ts";
import { gzipMessage } from "./compression.ts";
import { checkedJson } from "./decode-json.ts";
import { checkBinaryParts } from "./parts.ts";
import { rpcError, toConnectError } from "./rpc-error.ts";

interface Options {
  readonly handler: Pick<UniversalHandler, "method">;
  readonly header: Headers;
  readonly unpacker: Unpacker;
}

const prefixBytes = 5;
const packedFlag = 1;

export async function* checkedBody(
  pieces: AsyncIterable<Uint8Array>,
  options: Options,
): AsyncIterable<Uint8Array> {
  if (options.handler.method.methodKind !== "unary") return yield* pieces;
  try {
    const body = await readAll(pieces);
    for (let at = 0; at < body.length; ) {
      const end =
        at + prefixBytes + (body.length - at < prefixBytes ? 0 : body.readUInt32BE(at + 1));
      yield await checked(body.subarray(at, end), options);
      at = end;
    }
  } catch (error) {
    if (!(error instanceof OrchyError)) throw error;
    throw toConnectError(rpcError(error, "reading a body", undefined));
  }
}

async function readAll(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    if (bytes > prefixBytes + limits.requestBytesMax) throw tooLarge(limits.requestBytesMax);
    parts.push(piece);
  }
  return Buffer.concat(parts, bytes);
}

/** What is cut off, or packed in an unknown way, is left to the library, which says so. */
async function checked(envelope: Buffer, { handler, header, unpacker }: Options) {
  if (envelope.length < prefixBytes) return envelope;
  const isPacked = envelope[0] === packedFlag && header.get("grpc-encoding") === "gzip";
  const sent = envelope.subarray(prefixBytes) as Uint8Array<ArrayBuffer>;
  const message = isPacked ? await unpacker.unpack(sent, gzipMessage) : sent;
  if (isJson(header)) return enveloped(checkedJson(handler.method.input, message));
  checkBinaryParts(handler.method.input, message);
  return isPacked ? enveloped(message) : envelope;
}

function enveloped(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
