/**
 * Calls other servers for http actions. Each hop of a redirect is held against the allow list; names
 * are resolved here and the connection goes to the very address that was checked, so that a name which
 * changes its mind in between leads nowhere else.
 */

import type { LookupAddress } from "node:dns";
import { lookup as systemLookup } from "node:dns/promises";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { pipeline, type Readable, type Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { inBytes } from "../base/amount.ts";
import { defined } from "../base/defined.ts";
import { limits } from "../base/limits.ts";
import { familyOf } from "./addresses.ts";
import { type AllowList, hostOf } from "./allow-list.ts";
import { HttpFault } from "./fault.ts";

/** A request with its bounds: time in milliseconds, response body in bytes. */
export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array | undefined;
  readonly responseBytesMax: number;
  readonly signal: AbortSignal;
}

/** A whole response; the body is decompressed. */
export interface HttpResponse {
  readonly status: number;
  /** Names in lower case; `set-cookie` is a list. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Buffer;
}

interface HttpClientOptions {
  readonly allow: AllowList;
  /** All addresses of a name; the system's resolver by default. */
  readonly lookup?: (name: string) => Promise<readonly LookupAddress[]>;
  /** Certificates (PEM) trusted besides the system's. */
  readonly ca?: string;
}

/** Sends requests to hosts of the allow list, each hop checked. Throws HttpFault. */
export class HttpClient {
  readonly #options: HttpClientOptions;

  constructor(options: HttpClientOptions) {
    this.#options = options;
  }

  /** Throws HttpFault, or the signal's reason. */
  async send(request: HttpRequest): Promise<HttpResponse> {
    let hop = request;
    for (let hops = 0; ; hops++) {
      const response = await this.#exchange(hop);
      const target = redirectTarget(hop, response);
      if (target === undefined) return readResponse(response, request.responseBytesMax);
      response.destroy();
      if (hops === limits.httpRedirectsMax) {
        const message = `There were more than ${limits.httpRedirectsMax} redirects.`;
        throw new HttpFault("HTTP_UNREACHABLE", message);
      }
      hop = redirected(hop, target, response.statusCode ?? 0);
    }
  }

  async #exchange(request: HttpRequest): Promise<IncomingMessage> {
    const { url, method, headers, body, signal } = request;
    const addresses = await this.#addressesOf(url);
    signal.throwIfAborted();
    const send = url.protocol === "https:" ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const sent = send({
        method,
        host: hostOf(url),
        port: url.port || (url.protocol === "https:" ? 443 : 80),
        path: `${url.pathname}${url.search}`,
        headers: Object.fromEntries(headers),
        lookup: pinned(addresses),
        signal,
        // No connection is kept: a kept one would go to an address that was checked long ago.
        agent: false,
        ...defined({ ca: this.#options.ca }),
      });
      sent.once("response", resolve);
      sent.once("error", (error) =>
        reject(signal.aborted ? signal.reason : unreachable(url, error)),
      );
      sent.end(body);
    });
  }

  /** Those that may be called; never empty. */
  async #addressesOf(url: URL): Promise<readonly LookupAddress[]> {
    const { allow, lookup = lookUp } = this.#options;
    const host = hostOf(url);
    if (!/^https?:$/.test(url.protocol)) {
      throw new HttpFault("HTTP_NOT_ALLOWED", `${url.protocol} is not http: or https:.`);
    }
    if (!allow.permitsHost(host)) {
      const message = `This server may not call ${host}. If it may, add it to --http-allow.`;
      throw new HttpFault("HTTP_NOT_ALLOWED", message);
    }
    if (isIP(host) !== 0) return [{ address: host, family: familyOf(host) === "ipv4" ? 4 : 6 }];
    const found = await lookup(host).catch((error) => {
      throw unreachable(url, error);
    });
    const permitted = found.filter(({ address }) => allow.permitsAddress(address));
    if (permitted.length > 0) return permitted;
    if (found.length === 0) throw unreachable(url, new Error("the name has no address"));
    const message =
      `${host} stands for ${found[0]!.address}, which is not a public address. If this server may ` +
      "call it, add the address or its network to --http-allow.";
    throw new HttpFault("HTTP_NOT_ALLOWED", message);
  }
}

const lookUp = (name: string) => systemLookup(name, { all: true });

/** Resolves every name to what was checked. */
function pinned(addresses: readonly LookupAddress[]): LookupFunction {
  return (_name, options, done) => {
    if (options.all) done(null, [...addresses]);
    else done(null, addresses[0]!.address, addresses[0]!.family);
  };
}

function unreachable(url: URL, error: Error): HttpFault {
  const code = (error as NodeJS.ErrnoException).code;
  const reason =
    code === undefined || error.message.includes(code)
      ? error.message
      : `${error.message} (${code})`;
  return new HttpFault("HTTP_UNREACHABLE", `${url.host} cannot be reached: ${reason}.`);
}

const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

function redirectTarget(
  from: HttpRequest,
  { statusCode = 0, headers }: IncomingMessage,
): URL | undefined {
  const { location } = headers;
  if (!redirectStatuses.has(statusCode) || location === undefined) return undefined;
  return URL.parse(location, from.url.href) ?? undefined;
}

/** What the caller alone should see stays with the origin that it was for. */
const privateHeaders = ["authorization", "cookie", "proxy-authorization"];
const bodyHeaders = ["content-type", "content-length", "content-encoding", "content-language"];

/** As browsers do (Fetch standard, HTTP-redirect fetch): after 303 and a redirected POST follows a GET. */
function redirected(from: HttpRequest, url: URL, status: number): HttpRequest {
  const headers = new Map(from.headers);
  if (url.origin !== from.url.origin) for (const name of privateHeaders) headers.delete(name);
  headers.delete("host");
  const isSafe = from.method === "GET" || from.method === "HEAD";
  const toGet =
    (status === 303 && !isSafe) || ((status === 301 || status === 302) && from.method === "POST");
  if (!toGet) return { ...from, url, headers };
  for (const name of bodyHeaders) headers.delete(name);
  return { ...from, url, headers, method: "GET", body: undefined };
}

const decoders: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

/** Reads the body within its bound, unpacked. */
async function readResponse(response: IncomingMessage, bytesMax: number): Promise<HttpResponse> {
  const coding = response.headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
  const decoder = decoders[coding]?.();
  if (decoder === undefined && coding !== "identity") {
    response.destroy();
    throw new HttpFault(
      "HTTP_UNREACHABLE",
      `The response has the unknown encoding ${coding.slice(0, 40)}.`,
    );
  }
  const body: Readable = decoder === undefined ? response : pipeline(response, decoder, () => {});
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of body) {
      bytes += part.length;
      if (bytes > bytesMax) {
        const message = `The response is larger than ${inBytes(bytesMax)}; see responseBytesMax.`;
        throw new HttpFault("HTTP_RESPONSE_TOO_LARGE", message);
      }
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof HttpFault) throw error;
    throw new HttpFault(
      "HTTP_UNREACHABLE",
      `The response was cut off: ${(error as Error).message}.`,
    );
  } finally {
    response.destroy();
  }
  return {
    status: response.statusCode ?? 0,
    headers: headersOf(response),
    body: Buffer.concat(parts),
  };
}

function headersOf({ headers }: IncomingMessage): HttpResponse["headers"] {
  const known = Object.entries(headers).filter(
    (entry): entry is [string, string | string[]] => entry[1] !== undefined,
  );
  return Object.fromEntries(known);
}
