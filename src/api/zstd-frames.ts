/** Where the frames of zstd end (RFC 8878, section 3.1), as the library does not report a cut. */

import { nextTurn } from "./paced.ts";

const magic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;
const dictionaryIdBytes = [0, 1, 2, 4];

/** Frames and blocks between two pauses: they may be as short as three bytes. */
const partsPerTurn = 8 * 1024;

/** Whether the last frame ends where the bytes end. `bytes`: what the library has decoded. */
export async function endsWithFrame(bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
  const parts = walk(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  try {
    let part = parts.next();
    for (let count = 1; !part.done; count++) {
      if (count % partsPerTurn === 0) await nextTurn();
      part = parts.next();
    }
    return part.value === bytes.length;
  } catch (error) {
    // Read beyond the end.
    if (error instanceof RangeError) return false;
    throw error;
  }
}

type Walk = Generator<undefined, number>;

/** Stops at each part; returns where the last one ends. */
function* walk(view: DataView): Walk {
  let at = 0;
  while (at < view.byteLength) at = yield* frame(view, at);
  return at;
}

function* frame(view: DataView, start: number): Walk {
  yield;
  const first = view.getUint32(start, true);
  // Its last four bits are free.
  if (first >>> 4 === skippableMagic >>> 4) return start + 8 + view.getUint32(start + 4, true);
  if (first !== magic) throw new RangeError("no frame");

  const descriptor = view.getUint8(start + 4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >>> 6;
  const sizeBytes = sizeFlag === 0 ? Number(isSingleSegment) : 2 ** sizeFlag;
  const windowBytes = isSingleSegment ? 0 : 1;
  let at = start + 5 + windowBytes + dictionaryIdBytes[descriptor & 3]! + sizeBytes;
  for (let isLast = false; !isLast; ) {
    yield;
    const block = view.getUint16(at, true) + view.getUint8(at + 2) * 0x10000;
    isLast = (block & 1) === 1;
    const isRepeatedByte = ((block >>> 1) & 3) === 1;
    at += 3 + (isRepeatedByte ? 1 : block >>> 3);
  }
  const checksumBytes = (descriptor & 4) === 0 ? 0 : 4;
  return at + checksumBytes;
}
