/**
 * Where the servers of one store send each other messages. It is no part of the API for callers: it
 * needs no key, as a message is signed with a secret that only servers of the store have.
 */
import { limits } from "../base/limits.ts";
import type { PeerLine } from "../runtime/peers/peer-line.ts";

export const peersPath = "/internal/peers";
export const signatureHeader = "orchy-signature";

/** 204; 401 for what no server of this store has sent, 413 for what is larger than they send. */
export async function hearPeer(request: Request, line: PeerLine): Promise<Response> {
  if (request.method !== "POST") return new Response(null, { status: 405 });
  const body = await readText(request, limits.peerMessageBytesMax);
  if (body === undefined) return new Response(null, { status: 413 });
  const heard = await line.hear(body, request.headers.get(signatureHeader) ?? "");
  return new Response(null, { status: heard === "refused" ? 401 : 204 });
}

/** Undefined: it is longer. */
async function readText(request: Request, bytesMax: number): Promise<string | undefined> {
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) return undefined;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length;
    if (bytes > bytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
