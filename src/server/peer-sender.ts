/** How a server sends messages to the others of its store: over their HTTP port. */
import { peersPath, signatureHeader } from "../api/peers.ts";
import type { TlsFiles } from "../config/tls.ts";
import type { SendToPeer } from "../runtime/peers/peer-line.ts";

/**
 * All servers of a store speak TLS, or none does. Certificates are not compared with addresses: a
 * message is signed, and holds names of queues and ids of executions.
 */
export function peerSender(tls: TlsFiles | undefined): SendToPeer {
  const scheme = tls === undefined ? "http" : "https";
  const client = tls && { cert: tls.cert, key: tls.key, rejectUnauthorized: false };
  return async (address, { body, signature, withinMs }) => {
    const response = await fetch(`${scheme}://${address}${peersPath}`, {
      method: "POST",
      body,
      headers: { [signatureHeader]: signature },
      redirect: "error",
      signal: AbortSignal.timeout(withinMs),
      ...(client && { tls: client }),
    });
    await response.body?.cancel();
    return response.status;
  };
}
