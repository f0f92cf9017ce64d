/**
 * Whether a host or an address is this machine's own, as far as that is known without a look-up.
 */
export function isLoopback(host: string): boolean {
  const plain = host.replace(/^::ffff:/i, "");
  return plain === "localhost" || plain === "::1" || /^127(?:\.\d{1,3}){3}$/.test(plain);
}
