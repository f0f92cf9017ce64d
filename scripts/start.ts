/**
 * `npm start`: a server with both example workflows, a worker that runs their actions, and what to
 * try. Takes the server's flags and environment variables. Ctrl-C stops all of it.
 */
import { firstKeyNotice } from "../src/runtime/services/first-key.ts";
import {
  addressOf,
  readConfig,
  saveExamples,
  startExampleWorker,
  startOrExplain,
} from "./example-server.ts";

// The lines to try are not to drown in the log.
const config = readConfig(process.argv.slice(2), { ORCHY_LOG_LEVEL: "warn", ...process.env });
const server = await startOrExplain(config);
const url = addressOf(config, server.httpPort);
await saveExamples(url);
const worker = startExampleWorker(url);

let stopping = false;
async function stop(signal: NodeJS.Signals | undefined): Promise<void> {
  if (stopping) process.exit(130);
  stopping = true;
  console.log("\nStopping ...");
  await worker.stop(signal === "SIGINT" && process.stdin.isTTY);
  await server.stop();
  process.exit(0);
}
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
void worker.exited.then((code) => {
  if (stopping) return;
  console.error(`The example worker has ended (${code}); the server goes on without it.`);
});

function order(shipping: string, unitPrice: number): string {
  const lines = [{ product: "teapot", quantity: 2, unitPrice }];
  const input = { orderId: "A-17", email: "ann@example.com", shipping, lines };
  return JSON.stringify({ name: "order", input });
}

const json = "-H 'content-type: application/json'";
const readId = `sed 's/.*"flowId":"\\([^"]*\\)".*/\\1/'`;

function start(body: string): string {
  return `ID=$(curl -s ${url}/flow/execute ${json} -d '${body}' | ${readId}); echo $ID`;
}

function release(workflow: string, event: string, payload = ""): string {
  const body = `{"name":"${workflow}","flowId":"'$ID'","event":"${event}"${payload}}`;
  return `curl -s ${url}/event ${json} -d '${body}'`;
}

const { store } = config;
const { firstKeySecret } = server;
console.log(`
Orchy is at ${url} (REST and workers) and ${config.host}:${server.grpcPort} (gRPC).
Its data is in ${store.kind === "sqlite" ? store.path : store.kind}.
A worker runs the actions of the workflows test_workflow and order (examples/). Try, in another terminal:

# The seed workflow: a delay of 10 seconds, then it waits for an event.
${start('{"name":"test_workflow","input":{"age":89}}')}
curl -s ${url}/execution/test_workflow/$ID
# Once its state is EVENT WAITING:
${release("test_workflow", "test")}

# An order that flies; it waits for the courier.
${start(order("express", 60))}
${release("order", "picked-up", ',"payload":{"parcel":"P-1"}')}
curl -s ${url}/v1/executions/$ID

# One that goes by road (a delay of 1 second), and one whose card is declined.
${start(order("standard", 20))}
${start(order("express", 900))}

${firstKeySecret === undefined ? "" : `${firstKeyNotice(firstKeySecret)}\n`}
Ctrl-C stops the server and the worker.
`);
