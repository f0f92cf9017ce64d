/** Connections without a library: bytes of HTTP/2 as no client should send them. */
import type { Socket } from "bun";

export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export const frameTypes = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  window: 8,
  continuation: 9,
} as const;

export const endStream = 1;
export const endHeaders = 4;
const acknowledged = 1;

export function frame(
  type: keyof typeof frameTypes,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
  flags = 0,
): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = frameTypes[type];
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, 9);
  return bytes;
}

/** An integer of HPACK: `prefix` is what stands in the first byte beside its `bits`. */
function integer(prefix: number, bits: number, value: number): number[] {
  const most = (1 << bits) - 1;
  if (value < most) return [prefix | value];
  const bytes = [prefix | most];
  let rest = value - most;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  return [...bytes, rest];
}

/** A header in letters; `remembered`: the peer shall add it to its table. */
export function header(name: string, value: string, remembered = false): Buffer {
  const text = (part: string) => [Buffer.from(integer(0, 7, part.length)), Buffer.from(part)];
  return Buffer.concat([Buffer.from([remembered ? 0x40 : 0]), ...text(name), ...text(value)]);
}

export function headers(of: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(Object.entries(of).map(([name, value]) => header(name, value)));
}

const start = (method: string, path: string) => ({
  ":method": method,
  ":scheme": "http",
  ":path": path,
  ":authority": "localhost",
});

export const get = (path: string): Buffer => headers(start("GET", path));
export const post = (path: string, type: string, more: Record<string, string> = {}): Buffer =>
  headers({ ...start("POST", path), "content-type": type, te: "trailers", ...more });

export const settings = (initialWindow = 65_535): Buffer => {
  const pair = Buffer.alloc(6);
  pair.writeUInt16BE(4, 0);
  pair.writeUInt32BE(initialWindow, 2);
  return frame("settings", 0, pair);
};

export const greeting = (initialWindow?: number): Buffer =>
  Buffer.concat([preface, settings(initialWindow), frame("settings", 0, undefined, acknowledged)]);

/** A message of gRPC, packed or not. */
export function envelope(message: Uint8Array, packed = false): Buffer {
  const head = Buffer.alloc(5);
  head[0] = packed ? 1 : 0;
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

export class Connection {
  isClosed = false;
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  #unread: Buffer[] = [];
  #unreadBytes = 0;
  #drained = Promise.withResolvers<void>();

  private constructor(socket: Socket, closed: Promise<void>) {
    this.#socket = socket;
    this.closed = closed;
  }

  static async open(port: number, reads = true): Promise<Connection> {
    const closed = Promise.withResolvers<void>();
    let connection: Connection | undefined;
    const over = () => {
      if (connection) connection.isClosed = true;
      connection?.drain();
      closed.resolve();
    };
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_socket, bytes) => connection?.receive(bytes),
        drain: () => connection?.drain(),
        end: (ending) => void ending.end(),
        close: over,
        error: over,
      },
    });
    if (!reads) socket.pause();
    connection = new Connection(socket, closed.promise);
    return connection;
  }

  private drain(): void {
    this.#drained.resolve();
  }

  private receive(bytes: Buffer): void {
    if (this.#unreadBytes > 1_000_000) return;
    this.#unreadBytes += bytes.length;
    this.#unread.push(Buffer.from(bytes));
  }

  /** Resolves when the system has taken it all, or the connection is over. */
  async send(...parts: readonly Uint8Array[]): Promise<void> {
    const bytes = Buffer.concat(parts);
    for (let at = 0; at < bytes.length && !this.isClosed; ) {
      this.#drained = Promise.withResolvers();
      const written = this.#socket.write(bytes.subarray(at));
      if (written < 0) return;
      at += written;
      if (at < bytes.length) await this.#drained.promise;
    }
  }

  /**
   * Bodies of streams, as fast as the peer takes them, until all is sent, the connection is over or
   * so much time has passed. Each lacks its end.
   */
  async sendWithin(left: Map<number, number>, ms: number, body?: Uint8Array): Promise<void> {
    const windows = new Windows();
    const untilMs = performance.now() + ms;
    const filler = Buffer.alloc(16_384, 0x20);
    while (left.size > 0 && !this.isClosed && performance.now() < untilMs) {
      windows.read(this.#takeUnread());
      let moved = false;
      for (const [id, rest] of left) {
        const bytes = Math.min(filler.length, rest, windows.room(id));
        if (bytes <= 0) continue;
        const at = body === undefined ? 0 : body.length - rest;
        const piece = (body ?? filler).subarray(at, at + bytes);
        await this.send(frame("data", id, piece));
        windows.use(id, bytes);
        if (rest === bytes) left.delete(id);
        else left.set(id, rest - bytes);
        moved = true;
      }
      if (!moved) await Bun.sleep(1);
    }
  }

  #takeUnread(): Buffer {
    const unread = this.#unread;
    this.#unread = [];
    this.#unreadBytes = 0;
    return Buffer.concat(unread);
  }

  destroy(): void {
    this.#socket.terminate();
  }
}

/** How much a peer still takes: of each stream, and of all. */
class Windows {
  #all = 65_535;
  readonly #streams = new Map<number, number>();
  readonly #initial = 65_535;
  #rest = Buffer.alloc(0);

  room(stream: number): number {
    return Math.min(this.#all, this.#streams.get(stream) ?? this.#initial);
  }

  use(stream: number, bytes: number): void {
    this.#all -= bytes;
    this.#streams.set(stream, (this.#streams.get(stream) ?? this.#initial) - bytes);
  }

  read(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const length = this.#rest.length < 9 ? Infinity : this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < 9 + length) return;
      if (this.#rest[3] === frameTypes.window) this.#opened(this.#rest);
      this.#rest = this.#rest.subarray(9 + length);
    }
  }

  #opened(update: Buffer): void {
    const stream = update.readUInt32BE(5);
    const bytes = update.readUInt32BE(9);
    if (stream === 0) this.#all += bytes;
    else this.#streams.set(stream, (this.#streams.get(stream) ?? this.#initial) + bytes);
  }
}
