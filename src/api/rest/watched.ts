/** Lets go of a request that waits, or streams, when its caller's key has been revoked meanwhile. */
import type { Access } from "../access.ts";
import type { Caller } from "../caller.ts";
import type { WaitingRequest } from "./route.ts";

export function watchWaiting(
  waiting: WaitingRequest,
  access: Access,
  caller: Caller,
): WaitingRequest {
  if (caller.key === undefined) return waiting;
  const gone = new AbortController();
  const unwatch = access.watch(caller, () => gone.abort());
  const end = () => {
    unwatch();
    gone.abort();
  };
  waiting.signal.addEventListener("abort", end);
  if (waiting.signal.aborted) end();
  return {
    keyId: caller.key.id,
    signal: gone.signal,
    release() {
      waiting.signal.removeEventListener("abort", end);
      unwatch();
      waiting.release();
    },
  };
}
