/** Which addresses belong to the public internet: what a server may call without a rule for it. */
import { BlockList, isIP } from "node:net";

/** Networks that are not public, by the IANA registries of special-purpose addresses. */
const notPublic4 = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const;

/** Of IPv6 only 2000::/3 is public, without documentation and tunnels that lead to IPv4. */
const notPublic6 = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
] as const;

const outside = new BlockList();
for (const [address, bits] of notPublic4) outside.addSubnet(address, bits, "ipv4");
for (const [address, bits] of notPublic6) outside.addSubnet(address, bits, "ipv6");

const global6 = new BlockList();
global6.addSubnet("2000::", 3, "ipv6");

export function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 4 ? "ipv4" : "ipv6";
}

/**
 * The IPv4 address that an IPv6 one stands for, in the form that sockets take it for
 * (::ffff:a.b.c.d).
 */
export function unmapped(address: string): string {
  const dotted = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (dotted !== undefined) return dotted;
  const [, high, low] = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/i.exec(address) ?? [];
  if (high === undefined || low === undefined) return address;
  const number = Number.parseInt(high, 16) * 65_536 + Number.parseInt(low, 16);
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join(".");
}

/** Whether the address is globally routable; false for private, loopback and link-local ones. */
export function isPublic(address: string): boolean {
  const plain = unmapped(address);
  const family = familyOf(plain);
  if (outside.check(plain, family)) return false;
  return family === "ipv4" || global6.check(plain, family);
}
