/** Chance inside the engine: a function of the execution's seed, so that decisions repeat. */

/** Evenly spread over [0, 1) for each pair; the mixer is splitmix32's finaliser. */
export function randomOf(seed: number, counter: number): number {
  let mixed = (seed + Math.imul(counter + 1, 0x9e3779b9)) | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
}
