/**
 * Unpacks gzip, one body after the other: what many small requests may unpack to together is no more
 * than what one may.
 */
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { Compression } from "@connectrpc/connect/protocol";
import { compressionGzip } from "@connectrpc/connect-node";
import { OrchyError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { Backlog } from "../backlog.ts";
import { rpcError, toConnectError } from "./rpc-error.ts";

const unzip = promisify(gunzip);

type Bytes = Uint8Array<ArrayBuffer>;

export function tooLarge(): OrchyError {
  const message = `A request may take up to ${limits.requestBytesMax} bytes, unpacked.`;
  return new OrchyError("TOO_LARGE", message);
}

export class Unpacker {
  readonly #bodies: Backlog;
  #last: Promise<unknown> = Promise.resolve();

  constructor(bodies: Backlog) {
    this.#bodies = bodies;
  }

  /** Throws OrchyError: TOO_LARGE, INVALID_ARGUMENT, or TOO_MANY when too much waits. */
  unpack(bytes: Uint8Array): Promise<Bytes> {
    let waiting: Uint8Array | undefined = bytes;
    const refuse = () => {
      waiting = undefined;
      return new OrchyError("TOO_MANY", "Too many packed requests wait to be unpacked.");
    };
    const mine = this.#last.then(() => waiting && unpackNow(waiting));
    this.#last = mine.catch(() => {});
    return this.#bodies.hold(bytes.length, mine, refuse) as Promise<Bytes>;
  }

  /** The same for the handlers of the library. */
  asCompression(): Compression {
    return {
      ...compressionGzip,
      decompress: (bytes) =>
        this.unpack(bytes).catch((error) => {
          throw toConnectError(rpcError(error, "unpacking", undefined));
        }),
    };
  }
}

async function unpackNow(bytes: Uint8Array): Promise<Bytes> {
  if (bytes.length === 0) return new Uint8Array();
  try {
    return (await unzip(bytes, { maxOutputLength: limits.requestBytesMax })) as Bytes;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") {
      throw tooLarge();
    }
    throw new OrchyError("INVALID_ARGUMENT", "The body is not gzip, as its encoding says it is.");
  }
}
