/**
 * Large texts in parts: compressed, in chunks, immutable, and so kept in memory without ever being
 * wrong. Names are used once, and begin with the commit that wrote them.
 */
import type { ExecutionKey } from "../../model/ids.ts";
import { StoreFault } from "../store.ts";
import type { Part, RecordsDriver } from "./driver.ts";
import type { PartRef, Text } from "./model.ts";

/** Smaller ones stay as they are. */
const compressedBytesMin = 4_096;
/** Read at once from one execution. */
const partsReadMax = 50;
/** Of texts in memory, and of the largest that is kept there. */
const cachedCharsMax = 16 * 1024 * 1024;
const cachedCharsOne = 512 * 1024;

/** The first byte of a text's bytes. */
const plain = 0;
const zstd = 1;

function encode(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  const isLarge = bytes.byteLength > compressedBytesMin;
  const body = isLarge ? Bun.zstdCompressSync(bytes) : bytes;
  const encoded = new Uint8Array(body.byteLength + 1);
  encoded[0] = isLarge ? zstd : plain;
  encoded.set(body, 1);
  return encoded;
}

function decode(bytes: Uint8Array): string {
  const body = bytes.subarray(1);
  return new TextDecoder().decode(bytes[0] === zstd ? Bun.zstdDecompressSync(body) : body);
}

/** A part is gone: the record that refers to it is not the latest any more, or it is damaged. */
export class PartMissing extends StoreFault {
  constructor(name: string) {
    super("not_applied", `The part ${name} of an execution is missing.`);
  }
}

export class Texts {
  readonly #driver: RecordsDriver;
  readonly #cached = new Map<string, string>();
  #cachedChars = 0;

  constructor(driver: RecordsDriver) {
    this.#driver = driver;
  }

  /** Whether a record cannot have the body. */
  isTooLarge(body: string): boolean {
    const { bodyBytesMax } = this.#driver.limits;
    // No character has more than three bytes.
    return body.length * 3 > bodyBytesMax && Buffer.byteLength(body) > bodyBytesMax;
  }

  /** The parts of a text, to be written before what refers to them. */
  make(name: string, text: string): { readonly ref: PartRef; readonly parts: readonly Part[] } {
    const bytes = encode(text);
    const { partBytesMax } = this.#driver.limits;
    const parts: Part[] = [];
    for (let at = 0; at < bytes.byteLength; at += partBytesMax) {
      const body = bytes.subarray(at, at + partBytesMax);
      parts.push({ name: `${name}/${parts.length}`, body });
    }
    return { ref: { name, chunks: parts.length }, parts };
  }

  /** In the order of `texts`. Throws PartMissing. */
  async read(key: ExecutionKey, texts: readonly Text[]): Promise<readonly string[]> {
    const refs = texts.filter((text): text is PartRef => typeof text !== "string");
    const missing = refs.filter(({ name }) => !this.#cached.has(nameOf(key, name)));
    const read = await this.#readParts(key, missing);
    return texts.map((text) => {
      if (typeof text === "string") return text;
      return read.get(text.name) ?? (this.#cached.get(nameOf(key, text.name)) as string);
    });
  }

  async #readParts(
    key: ExecutionKey,
    refs: readonly PartRef[],
  ): Promise<ReadonlyMap<string, string>> {
    const names = refs.flatMap(partNames);
    const bodies: (Uint8Array | undefined)[] = [];
    for (let at = 0; at < names.length; at += partsReadMax) {
      const some = names.slice(at, at + partsReadMax);
      bodies.push(...(await this.#driver.aggregates.readParts(key, some)));
    }
    const texts = new Map<string, string>();
    let at = 0;
    for (const { name, chunks } of refs) {
      const found = bodies.slice(at, at + chunks).filter((body) => body !== undefined);
      at += chunks;
      if (found.length < chunks) throw new PartMissing(name);
      const text = decode(found.length === 1 ? found[0]! : Buffer.concat(found));
      texts.set(name, text);
      this.#keep(nameOf(key, name), text);
    }
    return texts;
  }

  #keep(name: string, text: string): void {
    if (text.length > cachedCharsOne) return;
    this.#cachedChars += text.length - (this.#cached.get(name)?.length ?? 0);
    this.#cached.set(name, text);
    for (const [oldest, { length }] of this.#cached) {
      if (this.#cachedChars <= cachedCharsMax) return;
      this.#cached.delete(oldest);
      this.#cachedChars -= length;
    }
  }
}

function nameOf({ partition, id }: ExecutionKey, name: string): string {
  return `${partition}/${id}/${name}`;
}

export function partNames({ name, chunks }: PartRef): string[] {
  return Array.from({ length: chunks }, (_, chunk) => `${name}/${chunk}`);
}
