/**
 * Follows which pages the write-ahead log of a file holds, without a transaction. A log that is started
 * anew is written from its beginning again; what was not seen of the one before is still behind it,
 * unless it was overwritten or cut off. The format: https://www.sqlite.org/fileformat2.html#walformat
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { limits } from "../../base/limits.ts";
import { frameHeaderBytes, headerBytes } from "./log-frames.ts";

interface Generation {
  /** Counts how often the log was started anew. */
  readonly number: number;
  /** Two salts, which each frame repeats. */
  readonly salts: string;
}

export class LogWatch {
  readonly #file: number;
  readonly #header = Buffer.alloc(headerBytes);
  #frameBytes = 0;
  #generation: Generation | undefined;
  #frames = 0;

  constructor(path: string) {
    this.#file = openSync(path, "r");
  }

  /** Change when the log is started anew. */
  get salts(): string | undefined {
    return this.#read()?.salts;
  }

  /** Adds the pages of all that is in the log now. False: the log is not what it was. */
  begin(pages: Set<number>): boolean {
    const before = this.#generation;
    this.#generation = this.#read();
    this.#frames = 0;
    if (this.#generation === undefined) return false;
    if (before !== undefined && before.salts !== this.#generation.salts) return false;
    this.#frames = this.#add(pages, this.#generation, 0);
    return this.#read()?.salts === this.#generation.salts;
  }

  /** Adds the pages that were written since the last look. False: some may have been missed. */
  look(pages: Set<number>): boolean {
    const [before, now] = [this.#generation, this.#read()];
    if (before === undefined || now === undefined) return false;
    if (now.salts === before.salts) {
      this.#frames = this.#add(pages, now, this.#frames);
      return this.#read()?.salts === now.salts || this.look(pages);
    }
    if (now.number !== before.number + 1) return false;
    const end = this.#add(pages, before, this.#frames);
    // It may have been longer than what is left of it.
    const { size } = fstatSync(this.#file);
    const isCut = this.#at(end + 1) > size && size >= limits.logBytesMax;
    const fresh = this.#add(pages, now, 0);
    if (isCut || fresh > this.#frames || this.#read()?.salts !== now.salts) return false;
    this.#generation = now;
    this.#frames = fresh;
    return true;
  }

  #at(frame: number): number {
    return headerBytes + frame * this.#frameBytes;
  }

  #read(): Generation | undefined {
    const bytes = readSync(this.#file, this.#header, 0, headerBytes, 0);
    if (bytes < headerBytes) return undefined;
    this.#frameBytes = frameHeaderBytes + this.#header.readUInt32BE(8);
    const salts = this.#header.toString("hex", 16, 24);
    return { number: this.#header.readUInt32BE(12), salts };
  }

  /** Returns the number of the first frame that is not of this generation. */
  #add(pages: Set<number>, { salts }: Generation, from: number): number {
    const header = Buffer.alloc(frameHeaderBytes);
    for (let frame = from; ; frame++) {
      const bytes = readSync(this.#file, header, 0, frameHeaderBytes, this.#at(frame));
      if (bytes < frameHeaderBytes || header.toString("hex", 8, 16) !== salts) return frame;
      pages.add(header.readUInt32BE(0));
    }
  }

  close(): void {
    closeSync(this.#file);
  }
}
