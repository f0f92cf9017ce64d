/**
 * Where the servers of one store send each other messages. It is no part of the API for callers: it
 * needs no key, as a message is signed with a secret that only servers of the store have.
 */
import { errorKinds, OrchyError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { PeerLine } from "../runtime/peers/peer-line.ts";
import type { Backlog } from "./backlog.ts";
import { readBody } from "./body.ts";

export const peersPath = "/internal/peers";
export const signatureHeader = "orchy-signature";

/**
 * 204; 401 for what no server of this store has sent, 413 for what is larger than they send. Whoever
 * can reach the port may send here: bodies are bounded as those of callers are.
 */
export async function hearPeer(
  request: Request,
  { line, bodies }: { readonly line: PeerLine; readonly bodies: Backlog },
): Promise<Response> {
  if (request.method !== "POST") return new Response(null, { status: 405 });
  try {
    const bytes = await readBody(request, { bytesMax: limits.peerMessageBytesMax, bodies });
    const body = Buffer.from(bytes).toString();
    const heard = await line.hear(body, request.headers.get(signatureHeader) ?? "");
    return new Response(null, { status: heard === "refused" ? 401 : 204 });
  } catch (error) {
    if (!(error instanceof OrchyError)) throw error;
    return new Response(null, { status: errorKinds[error.code].status });
  }
}
