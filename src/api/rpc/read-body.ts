/** Reads a request's body whole, never more of it than the limit, and unpacks it. */
import { limits } from "../../base/limits.ts";
import type { Backlog } from "../backlog.ts";
import { readBody, tooLarge, tooLate } from "../body.ts";
import { codingsOf, Unpacker } from "../unpacker.ts";

const bytesMax = limits.requestBytesMax;

/** Smaller ones cost less than to count them. */
const countedBytesMin = 4 * 1024;

type Bytes = Uint8Array<ArrayBuffer>;

export class BodyReader {
  readonly unpacker: Unpacker;
  readonly #bodies: Backlog;

  constructor(bodies: Backlog) {
    this.#bodies = bodies;
    this.unpacker = new Unpacker(bodies);
  }

  /** The limit counts what was sent, and again what it unpacks to. */
  async read(request: Request): Promise<Bytes> {
    // Connect names the code: unimplemented.
    const codings = codingsOf(request.headers.get("content-encoding"), "NOT_IMPLEMENTED");
    const sent = await this.#readSent(request);
    return codings.length === 0 ? sent : this.unpacker.unpack(sent, { codings, bytesMax });
  }

  /** Whole where its size is announced, as the server holds the peer to that; else in pieces. */
  #readSent(request: Request): Promise<Bytes> {
    const announced = request.headers.get("content-length");
    if (announced === null) return readBody(request, { bytesMax, bodies: this.#bodies });
    const bytes = Number(announced);
    if (bytes > bytesMax) throw tooLarge(bytesMax);
    const whole = request.bytes() as Promise<Bytes>;
    return bytes < countedBytesMin ? whole : this.#bodies.keepDuring(bytes, whole, tooLate);
  }
}
