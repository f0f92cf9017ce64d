/**
 * The way to a store, with faults: it can be slow, stand still, and be cut after the store has done
 * what it was asked and before its answer arrives, which leaves the asker with an unknown outcome.
 */
import { connect, createServer, type Socket } from "node:net";

export type Weather = "clear" | "slow" | "still" | "cutting";

export interface WayToStore {
  readonly port: number;
  weather: Weather;
  /** Connections cut before their answers so far. */
  readonly cuts: number;
  /** Closes every connection. */
  cutAll(): void;
  stop(): void;
}

const slowMs = 150;
/** While it is cutting, one answer in this many is lost. */
const cutEvery = 20;

/** One for each of so many servers. */
export function startWays(toPort: number, count: number): Promise<readonly WayToStore[]> {
  return Promise.all(Array.from({ length: count }, () => startWay(toPort)));
}

export async function startWay(toPort: number, port = 0): Promise<WayToStore> {
  const pairs = new Set<() => void>();
  const held: (() => void)[] = [];
  let weather: Weather = "clear";
  let cuts = 0;
  let answers = 0;

  /** In the order in which it came, whatever the weather was in between. */
  function pass(from: Socket, to: Socket): (data: Buffer) => void {
    let last: Promise<void> | undefined;
    const write = (data: Buffer) => {
      if (!to.destroyed && to.writable) to.write(data);
    };
    return (data) => {
      if (weather === "clear" || weather === "cutting") {
        if (last === undefined) return write(data);
        last = last.then(() => write(data));
        return;
      }
      const wait =
        weather === "slow" ? Bun.sleep(slowMs) : new Promise<void>((resolve) => held.push(resolve));
      from.pause();
      last = Promise.all([last, wait]).then(() => {
        write(data);
        from.resume();
        last = undefined;
      });
    };
  }

  const server = createServer((near) => {
    const far = connect(toPort, "127.0.0.1");
    near.setNoDelay(true);
    far.setNoDelay(true);
    const end = () => {
      near.destroy();
      far.destroy();
      pairs.delete(end);
    };
    pairs.add(end);
    for (const socket of [near, far]) socket.on("error", end).on("close", end);
    near.on("data", pass(near, far));
    const back = pass(far, near);
    far.on("data", (data: Buffer) => {
      if (weather !== "cutting" || ++answers % cutEvery !== 0) return back(data);
      cuts += 1;
      end();
    });
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const cutAll = () => {
    for (const end of [...pairs]) end();
  };
  return {
    port: (server.address() as { port: number }).port,
    get weather() {
      return weather;
    },
    set weather(next) {
      weather = next;
      if (next === "still") return;
      for (const release of held.splice(0)) release();
    },
    get cuts() {
      return cuts;
    },
    cutAll,
    stop() {
      server.close();
      cutAll();
    },
  };
}
