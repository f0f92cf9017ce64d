/** Ports for servers that must be told theirs: no two of all test processes get the same one. */

/** Below those that systems give to outgoing connections, which may come at any moment. */
const first = 10_000;
const count = 10_000;

const claims = new Map<number, { stop(closeActive?: boolean): void }>();

/**
 * A port that nobody listens on. It stays this process's: as its claim the process listens on the
 * port that is 10,000 higher, which the system allows once, and ends with the process.
 */
export function freePort(): number {
  for (;;) {
    const port = first + Math.floor(Math.random() * count);
    if (claims.has(port)) continue;
    const claim = listen(port + count);
    if (claim === undefined) continue;
    const probe = listen(port);
    if (probe === undefined) {
      claim.stop(true);
      continue;
    }
    probe.stop(true);
    claims.set(port, claim);
    return port;
  }
}

function listen(port: number) {
  try {
    const listener = Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } });
    listener.unref();
    return listener;
  } catch {
    return undefined;
  }
}
