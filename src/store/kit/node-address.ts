/** Parts of URLs that name several nodes, which `URL` does not read. */

export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

const nodePattern = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/;

/** `host`, `host:port` or `[address]:port`. */
export function readNode(text: string, defaultPort: number): NodeAddress | undefined {
  const [, address, name, portText] = nodePattern.exec(text) ?? [];
  const host = address ?? name;
  const port = portText === undefined ? defaultPort : Number(portText);
  return host !== undefined && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** `user:password@`, `:password@` or nothing, without the @; escaped as in every URL. */
export function readCredentials(
  text: string,
): { username?: string; password?: string } | undefined {
  const colon = text.indexOf(":");
  const username = decode(colon < 0 ? text : text.slice(0, colon));
  const password = colon < 0 ? "" : decode(text.slice(colon + 1));
  if (username === undefined || password === undefined) return undefined;
  return { ...(username !== "" && { username }), ...(password !== "" && { password }) };
}
