/** Reads a request's body whole, never more of it than the limit, and unpacks gzip. */
import { OrchyError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { Backlog } from "../backlog.ts";
import { readBody, tooLate } from "../body.ts";
import { tooLarge, Unpacker } from "./unpacker.ts";

const bytesMax = limits.requestBytesMax;

/** Smaller ones cost less than to count them. */
const countedBytesMin = 4 * 1024;

export class BodyReader {
  readonly unpacker: Unpacker;
  readonly #bodies: Backlog;

  constructor(bodies: Backlog) {
    this.#bodies = bodies;
    this.unpacker = new Unpacker(bodies);
  }

  /** The limit counts what was sent, and again what it unpacks to. */
  async read(request: Request): Promise<Uint8Array> {
    const encoding = request.headers.get("content-encoding");
    if (encoding !== null && encoding !== "identity" && encoding !== "gzip") {
      // Connect names the code: unimplemented.
      const message = `The content encoding ${encoding.slice(0, 40)} is not known; gzip and identity are.`;
      throw new OrchyError("NOT_IMPLEMENTED", message);
    }
    const sent = await this.#readSent(request);
    return encoding === "gzip" ? this.unpacker.unpack(sent) : sent;
  }

  /** Whole where its size is announced, as the server holds the peer to that; else in pieces. */
  #readSent(request: Request): Promise<Uint8Array> | Uint8Array {
    const announced = request.headers.get("content-length");
    if (announced === null) return readBody(request, { bytesMax, bodies: this.#bodies });
    const bytes = Number(announced);
    if (bytes > bytesMax) throw tooLarge();
    if (bytes < countedBytesMin) return request.bytes();
    return this.#bodies.hold(bytes, request.bytes(), tooLate);
  }
}
