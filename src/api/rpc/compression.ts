/** Compression for the handlers of the library, which knows gzip: unpacked within our bounds. */
import type { Compression } from "@connectrpc/connect/protocol";
import { compressionGzip } from "@connectrpc/connect-node";
import { limits } from "../../base/limits.ts";
import type { Unpacker } from "../unpacker.ts";
import { rpcError, toConnectError } from "./rpc-error.ts";

/** How one message of gRPC is unpacked. */
export const gzipMessage = { codings: ["gzip"], bytesMax: limits.requestBytesMax } as const;

export function gzipThrough(unpacker: Unpacker): Compression {
  return {
    ...compressionGzip,
    decompress: (bytes) =>
      unpacker.unpack(bytes as Uint8Array<ArrayBuffer>, gzipMessage).catch((error) => {
        throw toConnectError(rpcError(error, "unpacking", undefined));
      }),
  };
}
