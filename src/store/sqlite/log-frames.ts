/**
 * The frames of the write-ahead log as they lie in its file. The checksum of each is over itself and all
 * before it, so that they show whether the file holds what SQLite wrote.
 * The format: https://www.sqlite.org/fileformat2.html#walformat
 */
import { readSync } from "node:fs";
import { setImmediate } from "node:timers/promises";

export const headerBytes = 32;
export const frameHeaderBytes = 24;
/** What of the file is in use. */
export interface LogLength {
  readonly frames: number;
  readonly bytes: number;
}

/** Checksums are over words of this byte order: the one of all machines that this runs on. */
const littleEndian = 0x377f0682;
/** Read at once: the event loop goes on in between. */
const framesAtOnce = 64;

class Checksum {
  #first = 0;
  #second = 0;

  add(bytes: Buffer, from: number, to: number): void {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + from, (to - from) / 4);
    let [first, second] = [this.#first, this.#second];
    for (let i = 0; i < words.length; i += 2) {
      first = (((first + (words[i] as number)) | 0) + second) | 0;
      second = (((second + (words[i + 1] as number)) | 0) + first) | 0;
    }
    this.#first = first;
    this.#second = second;
  }

  isAt(bytes: Buffer, offset: number): boolean {
    return (
      bytes.readInt32BE(offset) === this.#first && bytes.readInt32BE(offset + 4) === this.#second
    );
  }
}

/** Whether the file holds its first `count` frames. */
export async function holdsFrames(file: number, count: number): Promise<boolean> {
  if (count === 0) return true;
  const header = Buffer.from(new ArrayBuffer(headerBytes));
  if (readSync(file, header, 0, headerBytes, 0) < headerBytes) return false;
  const checksum = new Checksum();
  checksum.add(header, 0, 24);
  if (header.readUInt32BE(0) !== littleEndian || !checksum.isAt(header, 24)) return false;
  const salts = header.subarray(16, 24);
  const frameBytes = frameHeaderBytes + header.readUInt32BE(8);
  const piece = Buffer.from(new ArrayBuffer(framesAtOnce * frameBytes));
  for (let frame = 0; frame < count; frame += framesAtOnce) {
    const length = Math.min(framesAtOnce, count - frame) * frameBytes;
    const place = headerBytes + frame * frameBytes;
    if (readSync(file, piece, 0, length, place) < length) return false;
    for (let start = 0; start < length; start += frameBytes) {
      checksum.add(piece, start, start + 8);
      checksum.add(piece, start + frameHeaderBytes, start + frameBytes);
      const isOfLog = salts.equals(piece.subarray(start + 8, start + 16));
      if (!isOfLog || !checksum.isAt(piece, start + 16)) return false;
    }
    await setImmediate();
  }
  return true;
}
