/** Why Redis cannot be connected to, and what the operator can do about it, in one sentence. */
import { connect } from "node:tls";
import type { ClientTls } from "../../config/tls.ts";
import type { NodeAddress } from "../kit/node-address.ts";
import type { RedisAddress } from "./address.ts";
import { sentenceOf } from "./faults.ts";

const handshakeMs = 3_000;
const noHandshake = "no answer to a TLS handshake";

interface Advice {
  /** In what the client says, or the handshake. */
  readonly sign: RegExp;
  readonly sentence: string;
}

const overTls: readonly Advice[] = [
  {
    sign: /self.signed|unable to (?:verify|get)/i,
    sentence: "its certificate is not trusted here; name its authority with --store-ca",
  },
  {
    sign: /altnames/,
    sentence: "its certificate is for another name than the one in --store",
  },
  { sign: /has expired|not yet valid/, sentence: "its certificate is not valid at this time" },
  {
    sign: /ALERT_|HANDSHAKE_FAILURE/,
    sentence:
      "it does not accept this server's certificate; give one with --store-cert, --store-key",
  },
  {
    sign: new RegExp(noHandshake),
    sentence: "it does not seem to speak TLS; without it the address begins with redis",
  },
];

const withoutTls: readonly Advice[] = [
  { sign: /ECONNRESET/, sentence: "it seems to speak TLS; then the address begins with rediss" },
];

export async function connectFault(
  { nodes, tls: isOverTls }: RedisAddress,
  tls: ClientTls,
  { message }: Error,
): Promise<Error> {
  const names = nodes.map(({ host, port }) => `${host}:${port}`).join(", ");
  // Behind sentinels and in clusters the client keeps to itself what a handshake failed of.
  const handshake = isOverTls ? await handshakeFault(nodes[0], tls) : undefined;
  const said = [handshake, message].filter((one) => one !== undefined);
  const advice = (isOverTls ? overTls : withoutTls).find(({ sign }) =>
    said.some((one) => sign.test(one)),
  );
  const reason = advice === undefined ? sentenceOf(message) : `${advice.sentence} (${said[0]})`;
  return new Error(`Redis at ${names} cannot be used: ${reason.replace(/\.$/, "")}.`);
}

/** Undefined: there was none. */
function handshakeFault({ host, port }: NodeAddress, tls: ClientTls): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const socket = connect({ host, port, ...tls });
  socket.once("secureConnect", () => resolve(undefined));
  socket.once("error", (error) => resolve(error.message));
  socket.setTimeout(handshakeMs, () => resolve(noHandshake));
  return promise.finally(() => socket.destroy());
}
