/**
 * What honest workers do: the load that attacks are held against, and the calls that measure it.
 */
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { WorkerService } from "../../src/gen/orchy/v1/worker_pb.ts";
import { type Attack, inParallel, type Target } from "./attack.ts";

type Service = Pick<Target, "kind" | "port">;

let shared: ReturnType<typeof createWorkerClient> | undefined;

/** One for the whole process, as a worker keeps its connections. */
function workerClient(target: Service) {
  shared ??= createWorkerClient(target);
  return shared;
}

export function createWorkerClient({ kind, port }: Service) {
  const baseUrl = `http://127.0.0.1:${port}`;
  const transport =
    kind === "http"
      ? createConnectTransport({ baseUrl, httpVersion: "1.1" })
      : // Less than several large messages, by default.
        createGrpcTransport({ baseUrl, nodeOptions: { maxSessionMemory: 256 } });
  return createClient(WorkerService, transport);
}

export type Load = "calls" | "large bodies" | "large answers";

/** As many calls as a busy worker has under way, as fast as they return. */
const calls: Attack = async (target) => {
  const client = workerClient(target);
  await inParallel(32, async () => {
    for (let n = 0; n < 50; n++) await client.poll({ actions: ["nothing"] });
  });
};

/** Results of 3 MB, four in a request, for tasks that are not theirs any more. */
const largeBodies: Attack = async (target) => {
  const client = workerClient(target);
  const outputJson = Buffer.from(`"${"x".repeat(3_000_000)}"`);
  const results = Array.from({ length: 4 }, (_, n) => ({ token: `gone-${n}`, outputJson }));
  await inParallel(4, async () => {
    for (let n = 0; n < 4; n++) await client.complete({ results });
  });
};

const largeAnswers: Attack = async ({ port, executionId }) => {
  const url = `http://127.0.0.1:${port}/v1/executions/${executionId}/result`;
  await inParallel(16, async () => {
    for (let n = 0; n < 4; n++) await (await fetch(url, { keepalive: false })).bytes();
  });
};

export const loads: Readonly<Record<Load, Attack>> = {
  calls,
  "large bodies": largeBodies,
  "large answers": largeAnswers,
};
