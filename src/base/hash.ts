/** SHA-256 of text, and ids made of it: the same on every server. */

export function hashText(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}

/** An id in the form of a UUID (version 8: by an application's own rule) made of a hash. */
export function hashId(...parts: readonly string[]): string {
  const hex = hashText(JSON.stringify(parts));
  const variant = ((Number.parseInt(hex[16]!, 16) & 0x3) | 0x8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}
