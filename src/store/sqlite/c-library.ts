/** Functions of the C library that no module of Bun has. */
import { dlopen, type FFIFunction } from "bun:ffi";

/** The library under the names that it has. */
const libraries = ["libc.so.6", "libSystem.B.dylib", `libc.musl-${process.arch}.so.1`];

/** Undefined on a system without such a library, or where it lacks one of them. */
export function findFunctions<const Functions extends Record<string, FFIFunction>>(
  functions: Functions,
) {
  for (const library of libraries) {
    try {
      return dlopen(library, functions).symbols;
    } catch {
      // Another system has another name for it.
    }
  }
  return undefined;
}
