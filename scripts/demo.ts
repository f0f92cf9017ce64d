/**
 * `npm run demo`: runs the example order to its end and shows each step as it happens: a server on a
 * temporary store and free ports, and the example worker beside it.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  addressOf,
  post,
  readConfig,
  saveExamples,
  startExampleWorker,
  startOrExplain,
} from "./example-server.ts";

interface Entry {
  readonly at: string;
  readonly kind: string;
  readonly action?: string;
  readonly attempt?: number;
  readonly details?: unknown;
}

interface ServerSentEvent {
  readonly type: string;
  readonly data: string;
}

const input = {
  orderId: "A-17",
  email: "ann@example.com",
  shipping: "express",
  lines: [
    { product: "teapot", quantity: 1, unitPrice: 40 },
    { product: "cup", quantity: 4, unitPrice: 9 },
  ],
};

const folder = await mkdtemp(join(tmpdir(), "orchy-demo-"));
const flags = ["--http-port=0", "--grpc-port=0", "--log-level=warn"];
const config = readConfig([...flags, `--store=sqlite:${join(folder, "orchy.db")}`], {});
const server = await startOrExplain(config);
const url = addressOf(config, server.httpPort);
const worker = startExampleWorker(url, (line) => console.log(`  worker | ${line}`));

try {
  await saveExamples(url);
  console.log(`Orchy is at ${url}, for this demo only.\nOrder: ${JSON.stringify(input)}\n`);
  const body = JSON.stringify({ workflow: "order", input });
  const { id } = await post(`${url}/v1/executions`, body);
  const status = await follow(String(id));
  const response = await fetch(`${url}/v1/executions/${id}/result`);
  const { result } = (await response.json()) as { result: unknown };
  console.log(`\n${status}. Result: ${JSON.stringify(result)}`);
  if (status !== "COMPLETED") process.exitCode = 1;
} finally {
  await worker.stop();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}
process.exit();

/** Prints each change until the execution has ended, and plays the courier. */
async function follow(id: string): Promise<string> {
  const response = await fetch(`${url}/v1/executions/${id}/events`);
  if (!response.ok || response.body === null) throw new Error(await response.text());
  for await (const { type, data } of eventsOf(response.body)) {
    if (type === "end") return (JSON.parse(data) as { status: string }).status;
    if (type !== "entry") continue;
    const entry = JSON.parse(data) as Entry;
    print(entry);
    if (entry.kind !== "action.waiting" || entry.action !== "courier") continue;
    console.log("    demo | the courier picks the parcel up: POST /event");
    const event = { name: "order", flowId: id, event: "picked-up", payload: { parcel: "P-1" } };
    await post(`${url}/event`, JSON.stringify(event));
  }
  throw new Error("The event stream ended before the execution did.");
}

function print({ at, kind, action = "", attempt, details }: Entry): void {
  const time = at.slice(11, 23);
  const which = attempt === undefined || attempt === 1 ? "" : ` (attempt ${attempt})`;
  const more = details === undefined ? "" : ` ${JSON.stringify(details)}`;
  console.log(`${time} ${kind.padEnd(20)} ${action}${which}${more}`.trimEnd());
}

async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const field = (name: string): string =>
        new RegExp(`^${name}: ?(.*)$`, "m").exec(block)?.[1] ?? "";
      yield { type: field("event"), data: field("data") };
    }
  }
}
