/**
 * Protobuf messages with a list of items that carry large payloads, as chunks of bytes: a payload is
 * a chunk as it is. The library's writer would copy it several times, as its buffer grows.
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** Smaller payloads are cheaper to copy than to put aside. */
export const largePayloadBytesMin = 4 * 1024;

interface PayloadItem {
  /** The item without its payload. */
  readonly head: Uint8Array;
  readonly payload: Uint8Array;
}

/** `message` is without its items; the numbers are those of its list and of the items' payload. */
export function payloadChunks(
  message: Uint8Array,
  items: readonly PayloadItem[],
  numbers: { readonly list: number; readonly payload: number },
): Uint8Array[] {
  const chunks = [message];
  for (const { head, payload } of items) {
    const inner = new BinaryWriter();
    // An empty payload is left out, as the library does.
    if (payload.length > 0) {
      inner.tag(numbers.payload, WireType.LengthDelimited).uint32(payload.length);
    }
    const prefix = inner.finish();
    const outer = new BinaryWriter().tag(numbers.list, WireType.LengthDelimited);
    outer.uint32(head.length + prefix.length + payload.length);
    chunks.push(outer.raw(head).raw(prefix).finish());
    if (payload.length > 0) chunks.push(payload);
  }
  return chunks;
}
