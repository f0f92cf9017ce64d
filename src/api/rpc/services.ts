/** All services of workers: each is implemented once, and served by Connect, gRPC-Web and gRPC. */
import type { DescMethod } from "@bufbuild/protobuf";
import { type ConnectRouter, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { limits } from "../../base/limits.ts";
import { ActionService } from "../../gen/legacy/action_service_pb.ts";
import { TaskService } from "../../gen/legacy/task_service_pb.ts";
import { WorkerService } from "../../gen/orchy/v1/worker_pb.ts";
import type { Orchestrator } from "../../runtime/shared/orchestrator.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { Access } from "../access.ts";
import type { Audit } from "../audit.ts";
import type { Caller } from "../caller.ts";
import type { Door } from "../door.ts";
import {
  type Admit,
  type CallContext,
  isJson,
  type MountedMethod,
  mount,
  type Peer,
  senderOf,
} from "./call.ts";
import { writeNotedNumbers } from "./json-notes.ts";
import type { LegacyAccess } from "./legacy-access.ts";
import { createActionService, createTaskService, type LegacyOptions } from "./legacy-service.ts";
import { recursionLimit } from "./recursion-limit.ts";
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

export const legacyServices = [TaskService, ActionService] as const;
export const workerServices = [WorkerService, ...legacyServices] as const;

export function mountServices(options: ServiceOptions): readonly MountedMethod[] {
  const { access } = options;
  return [
    ...mount(WorkerService, createWorkerService(options), (sender) =>
      access.admit("worker", sender),
    ),
    ...mountLegacyServices(options, ({ grpcAddress }) => grpcAddress),
  ];
}

/** `reachedAt`: where their workers reach a server; undefined: they do not. */
export function mountLegacyServices(
  options: ServiceOptions,
  reachedAt: LegacyOptions["reachedAt"],
): readonly MountedMethod[] {
  const { legacy } = options;
  // Workers of the legacy wire have rules of their own.
  const byRule: Admit = (sender, peer) => legacy.admit(sender, peer);
  return [
    ...mount(TaskService, createTaskService({ ...options, reachedAt }), byRule),
    ...mount(ActionService, createActionService({ ...options, reachedAt }), byRule),
  ];
}

const utf8 = new TextEncoder();

export const binaryOptions = { readUnknownFields: false, recursionLimit } as const;
/** What they read has been checked before; what they write is finished as for Connect. */
const jsonOptions = {
  ignoreUnknownFields: true,
  recursionLimit,
  textEncoder: { encode: (text = "") => utf8.encode(writeNotedNumbers(text)) },
};

/** Options of the library's own handlers, which serve gRPC and gRPC-Web. */
export const routerOptions = {
  readMaxBytes: limits.requestBytesMax,
  maxTimeoutMs: limits.rpcTimeoutMsMax,
  binaryOptions,
  jsonOptions,
} as const;

const unknownPeer: Peer = { address: undefined, verified: false };

/** Where the server of a call leaves its peer for the services. */
export const peerKey = createContextKey<() => Peer>(() => unknownPeer);

const callerKey = createContextKey<Caller | undefined>(undefined);

type RouteOptions = Pick<ServiceOptions, "access" | "log" | "metrics">;

/** Looks at the callers before anything of their bodies is read. */
export function gate(
  methods: readonly MountedMethod[],
  { log, metrics }: Pick<RouteOptions, "log" | "metrics">,
): (context: HandlerContext) => Promise<void> {
  const mountedOf = new Map(methods.map((mounted) => [mounted.method as DescMethod, mounted]));
  return async ({ method, requestHeader, values }) => {
    const mounted = mountedOf.get(method);
    if (mounted === undefined) return;
    try {
      const authorization = requestHeader.get("authorization");
      const peer = values.get(peerKey);
      values.set(callerKey, await mounted.admit(senderOf(authorization, peer, mounted), peer));
    } catch (thrown) {
      const error = rpcError(thrown, mounted.path, log);
      metrics?.rpcRequest(mounted.path, error.code);
      throw toConnectError(error);
    }
  };
}

/** Makes the methods known to a router of the library whose calls come through their gate. */
export function route(
  router: ConnectRouter,
  methods: readonly MountedMethod[],
  { access, log, metrics }: RouteOptions,
): void {
  for (const { method, path, run } of methods) {
    router.rpc(method, async (request, context) => {
      try {
        const caller = context.values.get(callerKey);
        if (caller === undefined) throw new Error("the call came around its gate");
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
    json: isJson(context.requestHeader),
    stillAdmitted: () => access.stillAdmits(caller),
  };
}
