/** Reads request bodies within bounds of size and time, whatever a content-length claims. */
import { OrchyError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Backlog } from "./backlog.ts";

function tooLarge(bytesMax: number): OrchyError {
  return new OrchyError("TOO_LARGE", `The body is larger than ${bytesMax} bytes.`);
}

export function tooLate(): OrchyError {
  const seconds = limits.requestBodyMs / 1000;
  const message = `The body did not arrive within ${seconds} s, or as fast as others did.`;
  return new OrchyError("REQUEST_TIMEOUT", message);
}

/** Throws OrchyError: TOO_LARGE, REQUEST_TIMEOUT, or INVALID_ARGUMENT if the body is cut off. */
export async function readBody(
  request: Request,
  options: { readonly bytesMax: number; readonly bodies: Backlog },
): Promise<Uint8Array<ArrayBuffer>> {
  const announced = Number(request.headers.get("content-length") ?? 0);
  if (announced > options.bytesMax) throw tooLarge(options.bytesMax);
  if (!request.body) return new Uint8Array();
  const reader = request.body.getReader();
  const late = Promise.withResolvers<never>();
  const holding = options.bodies.open(() => late.reject(tooLate()));
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  // Even of one that sends nothing the age counts.
  holding.set(1);
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), late.promise]);
      if (done) break;
      bytes += value.byteLength;
      if (bytes > options.bytesMax) throw tooLarge(options.bytesMax);
      parts.push(value);
      holding.set(bytes);
    }
  } catch (error) {
    // The rest of the body is of no use; whether its sender hears of it does not matter here.
    reader.cancel().catch(() => {});
    if (error instanceof OrchyError) throw error;
    throw new OrchyError("INVALID_ARGUMENT", "The body was cut off.");
  } finally {
    holding.close();
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts, bytes);
}
