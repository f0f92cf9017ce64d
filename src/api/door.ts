/**
 * Which requests are admitted: those that call this server by one of its names, and of those that
 * web pages send, the ones of its own pages. A browser runs the pages of strangers on the machine
 * of the owner, where a server without keys listens. A stranger's name may lead to this machine
 * (DNS rebinding): its pages then read and write as if they were the server's own.
 */
import { isIPv4, isIPv6 } from "node:net";
import { OrchyError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Logger } from "../telemetry/log.ts";

/** What a request says of where it goes and comes from. */
interface Sent {
  readonly host: string | null | undefined;
  readonly origin: string | null | undefined;
  /**
   * It calls an RPC method by gRPC or gRPC-Web; a content type alone, with any route, says nothing.
   */
  readonly isGrpc: boolean;
}

export interface Door {
  /** Throws MISDIRECTED, PERMISSION_DENIED or INVALID_ARGUMENT. */
  admit(sent: Sent): void | Promise<void>;
}

interface DoorOptions {
  /** Names that the operator gave this server (`host` or `host:port`): its pages are there, too. */
  readonly given: readonly string[];
  /**
   * Further names by which it may be called, besides addresses and those of the loopback interface.
   */
  readonly others: readonly string[];
  /** Origins whose pages may call, as browsers send them. */
  readonly corsOrigins: readonly string[];
  /** Whether callers need a key: then a name alone gives access to nothing. */
  readonly asksForKeys: () => boolean | Promise<boolean>;
  /**
   * Called once for each name and origin that is refused: a proxy or a probe may use it for years.
   */
  readonly log: Logger;
}

export function isGrpc(method: string, contentType: string | null | undefined): boolean {
  return method === "POST" && /^application\/grpc/i.test(contentType ?? "");
}

/** A host and, if it was given, its port. */
interface Authority {
  readonly name: string;
  readonly port: string;
}

export function createDoor(options: DoorOptions): Door {
  const { given, others, corsOrigins, asksForKeys, log } = options;
  const logged = new Set<string>();
  const own = namesOf(given);
  const callable = namesOf([...given, ...others]);

  function isForeign(origin: string, host: Authority | undefined): boolean {
    if (corsOrigins.includes(origin)) return false;
    const [, scheme, rest] = /^(https?):\/\/(.+)$/.exec(origin) ?? [];
    const page = readAuthority(rest ?? "");
    if (page === undefined) return true;
    if (own.has(page.name)) return false;
    const byScheme = scheme === "https" ? "443" : "80";
    const isSamePort = (page.port || byScheme) === (host?.port || byScheme);
    return page.name !== host?.name || !isSamePort;
  }

  function tellOnce(message: string, name: string): void {
    if (logged.has(name) || logged.size >= limits.refusedNamesLoggedMax) return;
    logged.add(name);
    log.warn(message, { name });
  }

  async function refuseWithoutKey(sent: string): Promise<void> {
    if (await asksForKeys()) return;
    const name = sent.slice(0, 100);
    tellOnce(
      "requests under a name that is not the server's are refused; see --allowed-hosts",
      name,
    );
    const message =
      `This server is not known under the name ${JSON.stringify(name)}. If callers may ` +
      "use it, add it to --allowed-hosts; without a key, a server is called by an address, by " +
      "localhost, or by a name that it was given.";
    throw new OrchyError("MISDIRECTED", message);
  }

  return {
    admit({ host: sentHost, origin, isGrpc }) {
      const sent = sentHost ?? "";
      // Of several, others on the way may have looked at another one.
      if (sent.includes(",")) {
        throw new OrchyError("INVALID_ARGUMENT", "The header Host is given twice; send one.");
      }
      const host = readAuthority(sent);
      const hasOrigin = origin !== null && origin !== undefined;
      if (hasOrigin && isForeign(origin, host)) {
        const page = origin.slice(0, 100);
        tellOnce("requests from pages of other origins are refused; see --cors-origin", page);
        const message =
          `Pages of ${JSON.stringify(page)} may not call this server. If they ` +
          "may, add it to --cors-origin.";
        throw new OrchyError("PERMISSION_DENIED", message);
      }
      if (host !== undefined && (isLocal(host.name) || callable.has(host.name))) return;
      // No browser leaves the header out, as probes of HTTP/1.0 do, nor posts without an origin;
      // clients of gRPC know a server by many names.
      if (!hasOrigin && (isGrpc || sent === "")) return;
      return refuseWithoutKey(sent);
    },
  };
}

/**
 * The path of a request comes without `.` and `..`, so it may be another one than a proxy has
 * compared with its rules. The server's own router sees it as it was sent. `to`: the path of the
 * route that it leads to; `sentTo`: of the one that it fits as it was sent.
 */
export function checkPath(to: string, sentTo: string | undefined): void {
  if (to === sentTo) return;
  const message =
    "The path must be sent as the route has it: without empty segments, backslashes, and segments " +
    "like . and .., also when they are percent-encoded.";
  throw new OrchyError("INVALID_ARGUMENT", message);
}

function namesOf(texts: readonly string[]): ReadonlySet<string> {
  return new Set(texts.flatMap((text) => readAuthority(text)?.name ?? []));
}

/**
 * Addresses cannot be made to lead elsewhere, and names of the loopback interface lead nowhere
 * else. The unspecified address is none: browsers that guard the loopback interface may reach it by
 * that.
 */
function isLocal(name: string): boolean {
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  if (isIPv4(name)) return !name.startsWith("0.");
  return name.startsWith("[") && isIPv6(name.slice(1, -1)) && !isUnspecified(name);
}

/** Of IPv6, in any of its forms, or that of IPv4 in it. */
function isUnspecified(name: string): boolean {
  return ["[::]", "[::ffff:0:0]"].includes(new URL(`http://${name}`).hostname);
}

/**
 * `host` or `host:port`, in lower case and without the dot of the root; undefined for anything
 * else.
 */
function readAuthority(text: string): Authority | undefined {
  const parts = /^(\[[\da-f:.]+\]|[\w-]+(?:\.[\w-]+)*)\.?(?::(\d{0,5}))?$/i.exec(text);
  return parts === null ? undefined : { name: parts[1]!.toLowerCase(), port: parts[2] ?? "" };
}
