/**
 * The WASM machine that a script runs in: QuickJS with bounded memory, one prepared world, and a
 * copy of the bytes that this world began with, to begin anew.
 */

import type {
  EmscriptenModuleLoader,
  QuickJSContext,
  QuickJSEmscriptenModule,
  QuickJSHandle,
  QuickJSWASMModule,
} from "quickjs-emscripten";
import { newQuickJSWASMModuleFromVariant, newVariant, RELEASE_SYNC } from "quickjs-emscripten";
import { prelude } from "./prelude.ts";

export interface ScriptLimits {
  readonly scriptMs: number;
  readonly memoryBytes: number;
  readonly stackBytes: number;
  readonly outputBytesMax: number;
  readonly outputDepthMax: number;
  readonly messageCharsMax: number;
  readonly codeCharsMax: number;
}

const pageBytes = 65_536;
/** The WASM module begins with this much; a script's share comes on top. */
export const baseBytes = 16 * 1024 * 1024;
/**
 * Room beyond the limit, so that the limit is noticed before the heap is really full: the glue
 * around QuickJS does not survive that. (QuickJS counts no sizes when compiled to WASM, so its own
 * memory limit does not hold; what bounds a script is the size of the WASM memory.)
 */
const reserveBytes = 16 * 1024 * 1024;
const skipMarginBytes = 128 * 1024;

export type LimitName = "deadline" | "memory" | "stack" | "output" | "depth" | "broken";

export class LimitReached extends Error {
  readonly limit: LimitName;

  constructor(limit: LimitName, detail = "") {
    super(detail);
    this.limit = limit;
  }
}

/** A WASM machine with one QuickJS world in it. */
export interface Machine {
  readonly memory: WebAssembly.Memory;
  readonly context: QuickJSContext;
  readonly seed: QuickJSHandle;
  readonly define: QuickJSHandle;
  readonly collect: QuickJSHandle;
  readonly decide: QuickJSHandle;
  readonly describe: QuickJSHandle;
  /** Makes the world new, whatever a script did to it. */
  readonly restore: () => void;
}

export async function openMachine(limits: ScriptLimits, mustStop: () => boolean): Promise<Machine> {
  const pages = (bytes: number) => Math.ceil(bytes / pageBytes);
  const memory = new WebAssembly.Memory({
    initial: pages(baseBytes),
    maximum: pages(baseBytes + limits.memoryBytes + reserveBytes),
  });
  const { quickjs, module } = await openModule(memory);
  const runtime = quickjs.newRuntime();
  runtime.setMaxStackSize(limits.stackBytes);
  runtime.setInterruptHandler(mustStop);
  const context = runtime.newContext();
  const make = context.unwrapResult(context.evalCode(prelude, "prelude.js", { type: "global" }));
  const outputCharsMax = context.newNumber(limits.outputBytesMax);
  const codeCharsMax = context.newNumber(limits.codeCharsMax);
  const bounds = [outputCharsMax, codeCharsMax];
  const made = context.unwrapResult(context.callFunction(make, context.undefined, ...bounds));
  const part = (name: string) => context.getProp(made, name);
  const handles = {
    seed: part("seed"),
    define: part("define"),
    collect: part("collect"),
    decide: part("decide"),
    describe: part("describe"),
  };
  // No hole between the blocks in use is this large, so it lies behind all of them.
  const end = module._malloc(baseBytes / 16);
  module._free(end);
  const parts = copyParts(memory, end + 16, limits.stackBytes);
  const restore = () => {
    const bytes = new Uint8Array(memory.buffer);
    for (const { at, copy } of parts) bytes.set(copy, at);
  };
  return { memory, context, ...handles, restore };
}

interface Part {
  readonly at: number;
  readonly copy: Uint8Array;
}

/**
 * Copies what must be written back to begin anew: everything but the depth of the stack. That is
 * the one long run of zeros (5 MiB in a module of 5.4), of which no script reaches more than
 * `stackBytes` from above; static variables that are still zero may begin it.
 */
function copyParts(memory: WebAssembly.Memory, end: number, stackBytes: number): Part[] {
  const words = new Int32Array(memory.buffer, 0, Math.floor(end / 4));
  let [gapFrom, gapTo, from] = [0, 0, 0];
  for (let at = 0; at <= words.length; at += 1) {
    if (words[at] === 0) continue;
    if (at - from > gapTo - gapFrom) [gapFrom, gapTo] = [from, at];
    from = at + 1;
  }
  const skipFrom = gapFrom * 4 + skipMarginBytes;
  const skipTo = gapTo * 4 - stackBytes - skipMarginBytes;
  const bytes = new Uint8Array(memory.buffer);
  if (skipTo <= skipFrom) return [{ at: 0, copy: bytes.slice(0, end) }];
  return [
    { at: 0, copy: bytes.slice(0, skipFrom) },
    { at: skipTo, copy: bytes.slice(skipTo, end) },
  ];
}

interface Module {
  readonly quickjs: QuickJSWASMModule;
  readonly module: QuickJSEmscriptenModule;
}

async function openModule(memory: WebAssembly.Memory): Promise<Module> {
  type Load = EmscriptenModuleLoader<QuickJSEmscriptenModule>;
  const variant = newVariant(RELEASE_SYNC, { wasmMemory: memory });
  const load = (await variant.importModuleLoader()) as Load;
  const module = await load();
  const allocate = module._malloc;
  // The library writes to whatever it gets; a null pointer must not come that far.
  module._malloc = (bytes: number) => {
    const pointer = allocate(bytes);
    if (pointer === 0) throw new LimitReached("memory");
    return pointer;
  };
  // The module's own conversion goes character by character: 1 MB takes it 10 ms and more.
  const encoder = new TextEncoder();
  module.lengthBytesUTF8 = (text) => Buffer.byteLength(text);
  module.stringToUTF8 = (text, pointer, bytesMax = 0) => {
    const target = new Uint8Array(memory.buffer, pointer, bytesMax);
    target[encoder.encodeInto(text, target).written] = 0;
  };
  const loaded = { ...variant, importModuleLoader: async () => async () => module };
  return { quickjs: await newQuickJSWASMModuleFromVariant(loaded), module };
}
