/**
 * The WASM machine that a script runs in: QuickJS with bounded memory, one prepared world, and a
 * copy of the bytes that this world began with.
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
export type LimitName = "deadline" | "memory" | "stack" | "output" | "depth" | "broken";

export class LimitReached extends Error {
  readonly limit: LimitName;

  constructor(limit: LimitName, detail = "") {
    super(detail);
    this.limit = limit;
  }
}

/** A WASM machine with one QuickJS world in it, and the bytes that this world began with. */
export interface Machine {
  readonly memory: WebAssembly.Memory;
  readonly context: QuickJSContext;
  readonly seed: QuickJSHandle;
  readonly define: QuickJSHandle;
  readonly reserve: QuickJSHandle;
  readonly collect: QuickJSHandle;
  readonly describe: QuickJSHandle;
  readonly beginning: Uint8Array;
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
  const made = context.callFunction(make, context.undefined, outputCharsMax);
  const parts = context.unwrapResult(made);
  const part = (name: string) => context.getProp(parts, name);
  const handles = {
    seed: part("seed"),
    define: part("define"),
    reserve: part("reserve"),
    collect: part("collect"),
    describe: part("describe"),
  };
  // No hole between the blocks in use is this large, so it lies behind all of them.
  const end = module._malloc(baseBytes / 16);
  module._free(end);
  const beginning = new Uint8Array(memory.buffer).slice(0, end + 16);
  return { memory, context, ...handles, beginning };
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
