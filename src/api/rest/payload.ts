/** Payloads of requests: taken as the text they were sent as, and bounded. */
import { inBytes } from "../../base/amount.ts";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { JsonText } from "../../model/json.ts";
import { pointerStep } from "./check.ts";
import type { Call } from "./route.ts";

/** The member at `path`, or `absent` when nothing was sent. */
export function payloadText(
  call: Pick<Call<unknown, unknown, unknown>, "bodyText">,
  path: readonly string[],
  absent: JsonText,
  bytesMax: number = limits.payloadBytesMax,
): JsonText {
  const text = call.bodyText(...path);
  if (text === undefined) return absent;
  if (Buffer.byteLength(text) > bytesMax) {
    const message = `It is larger than ${inBytes(bytesMax)}.`;
    const pointer = path.map(pointerStep).join("");
    throw new OrchyError("TOO_LARGE", "A payload is too large.", [{ pointer, message }]);
  }
  return text;
}
