/** For servers whose workflows contain no scripts. */
import type { Sandbox } from "../../src/sandbox/sandbox.ts";

export const noSandbox: Sandbox = {
  processes: 1,
  queued: 0,
  hasQueued: () => false,
  room: () => 1,
  onRoom() {},
  evaluate: () => Promise.reject(new Error("no scripts here")),
  check: async () => undefined,
  stop: async () => {},
};
