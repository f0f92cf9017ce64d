/** A client that speaks TLS to a port without it, or the other way round, sees a fault that does not say so. */

const withoutTls = /WRONG_VERSION_NUMBER|wrong version number|EPROTO/i;
const withTls = /cut|ECONNRESET|hang up|protocol error/i;

/** To follow the message of a connection's fault; empty where it has other causes. */
export function otherScheme({ protocol }: URL, message: string): string {
  const isTls = protocol === "https:";
  if (!(isTls ? withoutTls : withTls).test(message)) return "";
  return isTls
    ? " (without TLS the address begins with http://)"
    : " (with TLS the address begins with https://)";
}
