/**
 * Attacks with connections, bodies and answers: slow ones, large ones, packed ones, unread ones.
 */
import { gzipSync } from "node:zlib";
import { type Attack, inParallel, type Target } from "./attack.ts";
import { Connection, endHeaders, endStream, envelope, frame, get, greeting, post } from "./wire.ts";

const rpc = "/orchy.v1.WorkerService/";
const mebibyte = 1024 * 1024;

/** Until the window of the attack is over. */
const aWhile = () => Bun.sleep(700);

async function manyConnections(
  { port }: Target,
  count: number,
  begin: (connection: Connection, n: number) => Promise<void>,
): Promise<Connection[]> {
  const all: Connection[] = [];
  for (let at = 0; at < count; at += 250) {
    await inParallel(Math.min(250, count - at), async (n) => {
      const connection = await Connection.open(port);
      all.push(connection);
      await begin(connection, at + n);
    });
  }
  return all;
}

/** 10,000 that say nothing, and stay. */
const idle: Attack = async (target) => {
  const all = await manyConnections(target, 10_000, async (connection, n) => {
    if (n % 2 === 0) await connection.send(greeting());
  });
  await aWhile();
  for (const connection of all) connection.destroy();
};

/** Drop by drop: heads, and bodies of which a part has come. */
const slow: Attack = async (target) => {
  const isHttp = target.kind === "http";
  const poll = isHttp
    ? post(`${rpc}Poll`, "application/json")
    : post(`${rpc}Poll`, "application/grpc");
  const starts = [
    greeting(),
    Buffer.concat([greeting(), frame("headers", 1, poll)]),
    Buffer.concat([
      greeting(),
      frame("headers", 1, poll, endHeaders),
      frame("data", 1, Buffer.alloc(1_000)),
    ]),
    ...(isHttp
      ? [
          Buffer.from("GET / HTTP/1.1\r\nx: "),
          Buffer.from(
            "POST /v1/executions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10000000\r\n\r\n{",
          ),
          Buffer.from(
            `POST ${rpc}Poll HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 10000000\r\n\r\n{`,
          ),
        ]
      : []),
  ];
  const drops = [
    frame("ping", 0, Buffer.alloc(8)),
    frame("continuation", 1),
    frame("data", 1, Buffer.from(" ")),
    ...["a", " ", " "].map((text) => Buffer.from(text)),
  ];
  const all = await manyConnections(target, 1_000, async (connection, n) =>
    connection.send(starts[n % starts.length]!),
  );
  for (let round = 0; round < 5; round++) {
    await Bun.sleep(100);
    for (const [n, connection] of all.entries()) void connection.send(drops[n % starts.length]!);
  }
  for (const connection of all) connection.destroy();
};

/** Bodies of 15 MiB that lack their last byte, 16 on each connection: 1 GiB if all were kept. */
const unfinished: Attack = async (target) => {
  const type = target.kind === "http" ? "application/json" : "application/grpc";
  const path = target.kind === "http" ? "/v1/executions" : `${rpc}Complete`;
  await inParallel(4, async () => {
    const connection = await Connection.open(target.port);
    await connection.send(greeting());
    const left = new Map<number, number>();
    for (let n = 0; n < 16; n++) {
      await connection.send(frame("headers", 1 + 2 * n, post(path, type), endHeaders));
      left.set(1 + 2 * n, 15 * mebibyte);
    }
    await connection.sendWithin(left, 2_500);
    connection.destroy();
  });
};

function grpcCalls(method: string, bodies: readonly Uint8Array[], headers = {}): Attack {
  return async ({ port }) => {
    const connection = await Connection.open(port);
    await connection.send(greeting());
    for (const [n, body] of bodies.entries()) {
      const id = 1 + 2 * n;
      await connection.send(
        frame("headers", id, post(`${rpc}${method}`, "application/grpc", headers), endHeaders),
      );
      await connection.sendWithin(new Map([[id, body.length]]), 5_000, body);
    }
    await aWhile();
    connection.destroy();
  };
}

const postTo = (
  port: number,
  path: string,
  body: string | Buffer<ArrayBuffer>,
  headers: Record<string, string> = {},
) =>
  fetch(`http://127.0.0.1:${port}${path}`, {
    method: "POST",
    keepalive: false,
    headers: { "content-type": "application/json", ...headers },
    body,
  }).then(
    (response) => response.text(),
    () => undefined,
  );

const nested = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;

const jsonBombs: Attack = async ({ port }) => {
  const inputs = [
    nested(129),
    nested(100_000),
    nested(4_000_000),
    `"${"x".repeat(17 * mebibyte)}"`,
  ];
  await inParallel(4, async (n) => {
    const input = inputs[n]!;
    for (const [path, body] of [
      ["/v1/executions", `{"workflow":"honest","input":${input}}`],
      ["/v1/executions", input],
      [`${rpc}Complete`, `{"results":[{"token":"x","output":${input}}]}`],
      [`${rpc}Poll`, input],
    ] as const) {
      await postTo(port, path, body);
    }
  });
};

/** google.protobuf.Value: lists of lists, as deep as `levels`. */
function nestedValue(levels: number): Buffer {
  const parts: Buffer[] = [];
  let bytes = 0;
  for (let level = 0; level < levels; level++) {
    for (const field of [0x0a, 0x32]) {
      const head = Buffer.from([field, ...varint(bytes)]);
      parts.push(head);
      bytes += head.length;
    }
  }
  return Buffer.concat(parts.reverse());
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return [...bytes, rest];
}

/** A CompleteRequest of one result, with this output. */
function completion(output: Buffer): Buffer {
  const field = (tag: number, bytes: Buffer) =>
    Buffer.concat([Buffer.from([tag, ...varint(bytes.length)]), bytes]);
  return field(0x0a, Buffer.concat([field(0x0a, Buffer.from("token")), field(0x12, output)]));
}

const deepMessages: Attack = grpcCalls("Complete", [
  ...[129, 10_000, 500_000].map((levels) => envelope(completion(nestedValue(levels)))),
  // Says that it is 4 GiB.
  Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]),
  envelope(Buffer.alloc(17 * mebibyte)),
]);

/** 1 MB that unpacks to 1 GiB. */
const packed = () => gzipSync(Buffer.alloc(1024 * mebibyte), { level: 9 });
let bomb: Buffer<ArrayBuffer> | undefined;

const http1Bombs: Attack = async ({ port }) => {
  bomb ??= packed();
  const body = bomb;
  await inParallel(32, (n) => {
    const path = n % 2 === 0 ? `${rpc}Poll` : "/v1/executions";
    return postTo(port, path, body, { "content-encoding": "gzip" });
  });
};

const grpcBombs: Attack = async (target) => {
  bomb ??= packed();
  const calls = Array.from({ length: 8 }, () => envelope(bomb!, true));
  await inParallel(4, () => grpcCalls("Poll", calls, { "grpc-encoding": "gzip" })(target));
};

/** 550 results of 3 MB, of which no reader takes anything, and events. */
const unread: Attack = async ({ port, executionId }) => {
  const connections: Connection[] = [];
  await inParallel(3, async () => {
    const connection = await Connection.open(port);
    connections.push(connection);
    await connection.send(greeting(0));
    for (let n = 0; n < 200; n++) {
      const path = n % 4 === 3 ? "events" : "result";
      const call = get(`/v1/executions/${executionId}/${path}`);
      await connection.send(frame("headers", 1 + 2 * n, call, endStream | endHeaders));
    }
  });
  await inParallel(25, async () => {
    const connection = await Connection.open(port, false);
    connections.push(connection);
    const request = `GET /v1/executions/${executionId}/result HTTP/1.1\r\nhost: localhost\r\n\r\n`;
    await connection.send(Buffer.from(request.repeat(4)));
  });
  await aWhile();
  for (const connection of connections) connection.destroy();
};

export const bothBodyAttacks: Readonly<Record<string, Attack>> = {
  "10,000 connections that do nothing": idle,
  "heads and bodies drop by drop, 1,000 at once": slow,
  "bodies of 1 GiB together that never end": unfinished,
};

export const httpBodyAttacks: Readonly<Record<string, Attack>> = {
  "JSON that is deep or huge": jsonBombs,
  "bodies that unpack to 32 GiB": http1Bombs,
  "answers and events that nobody reads": unread,
};

export const grpcBodyAttacks: Readonly<Record<string, Attack>> = {
  "messages that are deep or huge": deepMessages,
  "messages that unpack to 32 GiB": grpcBombs,
};
