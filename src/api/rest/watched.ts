/** Lets go of a request that waits, or streams, when its caller's key has been revoked meanwhile. */
import type { Access } from "../access.ts";
import type { Caller } from "../caller.ts";
import type { Held } from "./route.ts";

export function watchHeld(held: Held, access: Access, caller: Caller): Held {
  if (caller.key === undefined) return held;
  const gone = new AbortController();
  const unwatch = access.watch(caller, () => gone.abort());
  const end = () => {
    unwatch();
    gone.abort();
  };
  held.signal.addEventListener("abort", end);
  if (held.signal.aborted) end();
  return {
    keyId: caller.key.id,
    signal: gone.signal,
    release() {
      held.signal.removeEventListener("abort", end);
      unwatch();
      held.release();
    },
  };
}
