/**
 * Content codings of request bodies: which ones a header names, and what the body unpacks to. Each
 * unpacker takes one body after the other: what many small requests may unpack to together is no more
 * than what one may.
 */

import {
  brotliDecompress,
  constants,
  gunzip,
  inflate,
  inflateRaw,
  zstdDecompress,
} from "node:zlib";
import { inBytes } from "../base/amount.ts";
import { type ErrorCode, OrchyError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Backlog } from "./backlog.ts";
import { endsWithFrame } from "./zstd-frames.ts";

type Bytes = Uint8Array<ArrayBuffer>;

type Coding = "gzip" | "deflate" | "br" | "zstd";

/** For the library's threads: the main thread only puts the chunks together. */
type Decoder = (
  bytes: Bytes,
  options: { readonly chunkSize: number; readonly maxOutputLength: number; readonly info: true },
  callback: (error: Error | null, result: unknown) => void,
) => void;

const decoders: Readonly<Record<Coding, Decoder>> = {
  gzip: gunzip,
  // RFC 9110 means the zlib format; some clients leave its frame out.
  deflate: (bytes, options, callback) =>
    (isZlib(bytes) ? inflate : inflateRaw)(bytes, options, callback),
  br: brotliDecompress,
  zstd: (bytes, options, callback) =>
    zstdDecompress(bytes, { ...options, params: zstdParameters }, callback),
};

const zstdParameters = { [constants.ZSTD_d_windowLogMax]: limits.zstdWindowLogMax };

const codings = Object.keys(decoders) as readonly Coding[];

/**
 * What a Content-Encoding header names, in the order in which it is unpacked. Throws OrchyError with
 * `code` for what is unknown, or more than limits.contentCodingsMax.
 */
export function codingsOf(header: string | null, code: ErrorCode): readonly Coding[] {
  if (header === null) return [];
  const named = header
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "" && name !== "identity")
    .map((name) => (name === "x-gzip" ? "gzip" : name));
  const known = named.filter(isCoding);
  const accepted = codings.join(", ");
  if (known.length < named.length || known.length > limits.contentCodingsMax) {
    const message =
      `The content encoding ${JSON.stringify(header.slice(0, 40))} is not supported. ` +
      `Send the body uncompressed, or in up to ${limits.contentCodingsMax} of ${accepted}.`;
    throw new OrchyError(code, message, [], { acceptEncoding: accepted });
  }
  return known.reverse();
}

function isCoding(name: string): name is Coding {
  return Object.hasOwn(decoders, name);
}

interface UnpackOptions {
  readonly codings: readonly Coding[];
  /** Of what it unpacks to, after each of the codings. */
  readonly bytesMax: number;
}

export class Unpacker {
  readonly #bodies: Backlog;
  #last: Promise<unknown> = Promise.resolve();

  constructor(bodies: Backlog) {
    this.#bodies = bodies;
  }

  /** Throws OrchyError: TOO_LARGE, INVALID_ARGUMENT, or TOO_MANY when too much waits. */
  async unpack(bytes: Bytes, options: UnpackOptions): Promise<Bytes> {
    if (bytes.length === 0 || options.codings.length === 0) return bytes;
    let waiting: Bytes | undefined = bytes;
    const refuse = () => {
      waiting = undefined;
      return new OrchyError(
        "TOO_MANY",
        "Too many compressed requests are waiting to be decompressed; try again.",
      );
    };
    const mine = this.#last.then(() => waiting && unpackNow(waiting, options));
    this.#last = mine.catch(() => {});
    return this.#bodies.keepDuring(bytes.length, mine, refuse) as Promise<Bytes>;
  }
}

async function unpackNow(sent: Bytes, { codings, bytesMax }: UnpackOptions): Promise<Bytes> {
  let bytes = sent;
  for (const coding of codings) bytes = await decode(bytes, coding, bytesMax);
  return bytes;
}

/** Larger than the default, as each chunk is a turn between the threads. */
const chunkSize = 64 * 1024;

/** The library ignores what follows, and takes a part of zstd for the whole. */
async function decode(bytes: Bytes, coding: Coding, bytesMax: number): Promise<Bytes> {
  const { buffer, engine } = await run(bytes, coding, bytesMax);
  const isWhole = engine.bytesWritten === bytes.length;
  if (isWhole && (coding !== "zstd" || (await endsWithFrame(bytes)))) return buffer;
  throw notEncoded(coding);
}

interface Decoded {
  readonly buffer: Bytes;
  readonly engine: { readonly bytesWritten: number };
}

function run(bytes: Bytes, coding: Coding, bytesMax: number): Promise<Decoded> {
  const options = { chunkSize, maxOutputLength: bytesMax, info: true } as const;
  return new Promise((resolve, reject) => {
    decoders[coding](bytes, options, (error, result) => {
      if (error === null) resolve(result as Decoded);
      else if ("code" in error && error.code === "ERR_BUFFER_TOO_LARGE") {
        const message = `The body is larger than ${inBytes(bytesMax)} when decompressed.`;
        reject(new OrchyError("TOO_LARGE", message));
      } else reject(notEncoded(coding));
    });
  });
}

function notEncoded(coding: Coding): OrchyError {
  const message = `The body is not valid or complete ${coding}, which its Content-Encoding names.`;
  return new OrchyError("INVALID_ARGUMENT", message);
}

/** RFC 1950: method 8, and a header that is a multiple of 31. */
function isZlib([first = 0, second = 0]: Uint8Array): boolean {
  return (first & 0x0f) === 8 && (first * 256 + second) % 31 === 0;
}
