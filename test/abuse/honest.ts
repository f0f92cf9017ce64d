/** What honest workers do: the load that attacks are held against, and the calls that measure it. */
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { WorkerService } from "../../src/gen/orchy/v1/worker_pb.ts";
import { type Attack, inParallel, type Target } from "./attack.ts";

export function createWorkerClient({ kind, port }: Pick<Target, "kind" | "port">) {
  const baseUrl = `http://127.0.0.1:${port}`;
  const transport =
    kind === "http"
      ? createConnectTransport({ baseUrl, httpVersion: "1.1" })
      : createGrpcTransport({ baseUrl });
  return createClient(WorkerService, transport);
}

/** As many calls as a busy worker has under way, as fast as they are answered. */
export const honest: Attack = async (target) => {
  const client = createWorkerClient(target);
  await inParallel(32, async () => {
    for (let n = 0; n < 50; n++) await client.poll({ actions: ["nothing"] });
  });
};
