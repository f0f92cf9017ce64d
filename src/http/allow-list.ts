/**
 * Which hosts the server may call (`--http-allow`). Each hop is checked twice: is the host of the
 * URL listed, and is the address that its name stands for public, or in a network that is listed.
 * So neither a name that somebody points at an internal address nor a redirect leads inside.
 *
 *     api.example.com      this name, at public addresses
 *     *.example.com        all names below it
 *     *                    every name and address that is public
 *     10.1.2.3, fd00::1    this address, also as what a listed name stands for
 *     10.0.0.0/8           the same for a network
 *     localhost            this machine's own addresses
 */
import { BlockList, isIP } from "node:net";
import { familyOf, isPublic, unmapped } from "./addresses.ts";

/** The parsed `--http-allow`. */
export class AllowList {
  readonly #names = new Set<string>();
  readonly #suffixes: string[] = [];
  readonly #networks = new BlockList();
  #all = false;

  /** Entries that `readAllowList` has accepted. */
  constructor(entries: readonly string[]) {
    for (const entry of entries) this.#add(entry);
  }

  #add(entry: string): void {
    const network = networkOf(entry);
    if (entry === "*") this.#all = true;
    else if (network !== undefined) this.#addNetwork(network);
    else if (entry.startsWith("*.")) this.#suffixes.push(entry.slice(1).toLowerCase());
    else this.#names.add(entry.toLowerCase());
    if (entry.toLowerCase() === "localhost") {
      this.#networks.addSubnet("127.0.0.0", 8, "ipv4");
      this.#networks.addAddress("::1", "ipv6");
    }
  }

  #addNetwork({ address, bits }: Network): void {
    this.#networks.addSubnet(address, bits, familyOf(address));
  }

  /** A host as `hostOf` returns it. */
  permitsHost(host: string): boolean {
    if (isIP(host) !== 0) return (this.#all && isPublic(host)) || this.#lists(host);
    const name = host.replace(/\.$/, "");
    if (this.#all || this.#names.has(name)) return true;
    return this.#suffixes.some((suffix) => name.endsWith(suffix));
  }

  /** An address that a permitted name stands for. */
  permitsAddress(address: string): boolean {
    return isPublic(address) || this.#lists(address);
  }

  #lists(address: string): boolean {
    const plain = unmapped(address);
    return this.#networks.check(plain, familyOf(plain));
  }
}

/** A name in lower case, or an address, without the brackets of IPv6. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}

interface Network {
  readonly address: string;
  readonly bits: number;
}

function networkOf(entry: string): Network | undefined {
  const [address = "", bitsText, ...more] = entry.split("/");
  const version = isIP(address);
  const bitsMax = version === 4 ? 32 : 128;
  const bits = bitsText === undefined ? bitsMax : Number(bitsText);
  if (version === 0 || more.length > 0 || bitsText === "") return undefined;
  return Number.isInteger(bits) && bits >= 0 && bits <= bitsMax ? { address, bits } : undefined;
}

const namePattern = /^(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/i;

/** Whether an entry has one of the forms above. */
export function isAllowEntry(entry: string): boolean {
  if (entry === "*" || networkOf(entry) !== undefined) return true;
  // A name of digits alone would be read as an address by URL.
  return namePattern.test(entry) && !/^[\d.]+$/.test(entry);
}
