/** Reads a request's body whole, never more of it than the limit, and unpacks gzip. */
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { OrchyError } from "../../errors.ts";
import { limits } from "../../limits.ts";

const unzip = promisify(gunzip);
const bytesMax = limits.requestBytesMax;

function tooLarge(): OrchyError {
  return new OrchyError("TOO_LARGE", `A request may take up to ${bytesMax} bytes, unpacked.`);
}

/** The limit counts what was sent, and again what it unpacks to. */
export async function readBody(request: Request): Promise<Uint8Array> {
  const encoding = request.headers.get("content-encoding");
  if (encoding !== null && encoding !== "identity" && encoding !== "gzip") {
    const message = `The content encoding ${encoding.slice(0, 40)} is not known; gzip is.`;
    throw new OrchyError("UNSUPPORTED_MEDIA_TYPE", message);
  }
  const sent = await readSent(request);
  return encoding === "gzip" && sent.length > 0 ? unpack(sent) : sent;
}

async function readSent(request: Request): Promise<Uint8Array> {
  const announced = request.headers.get("content-length");
  if (announced === null) return readStream(request.body);
  if (Number(announced) > bytesMax) throw tooLarge();
  const bytes = await request.bytes();
  if (bytes.length > bytesMax) throw tooLarge();
  return bytes;
}

async function readStream(body: ReadableStream<Uint8Array> | null): Promise<Uint8Array> {
  if (body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw tooLarge();
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes);
}

async function unpack(bytes: Uint8Array): Promise<Uint8Array> {
  try {
    return await unzip(bytes, { maxOutputLength: bytesMax });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") {
      throw tooLarge();
    }
    throw new OrchyError("INVALID_ARGUMENT", "The body is not gzip, as its encoding says it is.");
  }
}
