/** All services of workers: each is implemented once, and served by Connect, gRPC-Web and gRPC. */
import { type ConnectRouter, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { ActionService } from "../../gen/legacy/action_service_pb.ts";
import { TaskService } from "../../gen/legacy/task_service_pb.ts";
import { WorkerService } from "../../gen/orchy/v1/worker_pb.ts";
import { limits } from "../../limits.ts";
import type { Logger } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";
import type { Orchestrator } from "../../runtime/orchestrator.ts";
import type { Access } from "../access.ts";
import type { Audit } from "../audit.ts";
import type { Caller } from "../caller.ts";
import type { Door } from "../door.ts";
import { type CallContext, type MountedMethod, mount, type Peer, senderOf } from "./call.ts";
import type { LegacyAccess } from "./legacy-access.ts";
import { createActionService, createTaskService } from "./legacy-service.ts";
import { rpcError, toConnectError } from "./rpc-error.ts";
import { createWorkerService } from "./worker-service.ts";

export interface ServiceOptions {
  readonly legacy: LegacyAccess;
  readonly orchestrator: Orchestrator;
  readonly audit: Audit;
  readonly access: Access;
  readonly door: Door;
  readonly log?: Logger;
  readonly metrics?: Metrics;
}

export const workerServices = [WorkerService, TaskService, ActionService] as const;

export function mountServices(options: ServiceOptions): readonly MountedMethod[] {
  // Workers of the original wire have rules of their own, which their services apply.
  return [
    ...mount(WorkerService, createWorkerService(options), "worker"),
    ...mount(TaskService, createTaskService(options), "open"),
    ...mount(ActionService, createActionService(options), "open"),
  ];
}

/**
 * One level of JSON in a Struct takes up to three nested messages; deeper ones cannot be told apart
 * from garbage, and cost the whole call.
 */
export const recursionLimit = 4 * limits.jsonDepthMax;

export const binaryOptions = { readUnknownFields: false, recursionLimit } as const;
export const jsonOptions = { ignoreUnknownFields: true, recursionLimit } as const;

/** Options of the library's own handlers, which serve gRPC and gRPC-Web. */
export const routerOptions = {
  readMaxBytes: limits.requestBytesMax,
  maxTimeoutMs: limits.rpcTimeoutMsMax,
  binaryOptions,
  jsonOptions,
} as const;

const unknownPeer: Peer = { address: undefined, verified: false };

/** Where those who serve a call leave its peer for the services. */
export const peerKey = createContextKey<() => Peer>(() => unknownPeer);

/** Makes the methods known to a router of the library. */
export function route(
  router: ConnectRouter,
  methods: readonly MountedMethod[],
  { access, log, metrics }: Pick<ServiceOptions, "access" | "log" | "metrics">,
): void {
  for (const mounted of methods) {
    const { method, path, need, run } = mounted;
    router.rpc(method, async (request, context) => {
      try {
        const authorization = context.requestHeader.get("authorization");
        const sender = senderOf(authorization, context.values.get(peerKey), mounted);
        const caller = await access.admit(need, sender);
        const answer = await run(request, toCall(context, access, caller));
        metrics?.rpcRequest(path, "ok");
        return answer;
      } catch (thrown) {
        const error = rpcError(thrown, path, log);
        metrics?.rpcRequest(path, error.code);
        throw toConnectError(error);
      }
    });
  }
}

function toCall(context: HandlerContext, access: Access, caller: Caller): CallContext {
  return {
    signal: context.signal,
    timeoutMs: context.timeoutMs(),
    peer: context.values.get(peerKey),
    caller,
    stillAdmitted: () => access.stillAdmits(caller),
  };
}
