/** grpc.health.v1, for load balancers. A draining or unready server is NOT_SERVING. */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { limits } from "../../base/limits.ts";
import {
  type Health,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.ts";
import type { Orchestrator } from "../../runtime/shared/orchestrator.ts";

/** Time between two checks of the status for a stream of health. */
const healthWatchMs = 1_000;

interface HealthOptions {
  readonly orchestrator: Orchestrator;
  /** Full names of the services whose health is served. */
  readonly services: ReadonlySet<string>;
  /** Fires when the server begins to drain. */
  readonly draining: AbortSignal;
}

export function createHealthService(options: HealthOptions): ServiceImpl<typeof Health> {
  let watchers = 0;

  async function statusOf(service: string): Promise<ServingStatus> {
    if (service !== "" && !options.services.has(service)) return ServingStatus.SERVICE_UNKNOWN;
    if (options.draining.aborted) return ServingStatus.NOT_SERVING;
    const { ready } = await options.orchestrator.readiness();
    return ready ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  }

  /** Sends the status at once and each change; ends when the server drains. */
  async function* changes(
    service: string,
    context: HandlerContext,
  ): AsyncGenerator<HealthCheckResponse> {
    let last: ServingStatus | undefined;
    while (!context.signal.aborted) {
      const status = await statusOf(service);
      if (status !== last) yield create(HealthCheckResponseSchema, { status });
      last = status;
      if (options.draining.aborted) return;
      await pause(healthWatchMs, [context.signal, options.draining]);
    }
  }

  return {
    async check({ service }) {
      const status = await statusOf(service);
      if (status === ServingStatus.SERVICE_UNKNOWN) {
        throw new ConnectError(`There is no service ${service.slice(0, 300)}.`, Code.NotFound);
      }
      return { status };
    },

    async *watch({ service }, context) {
      if (watchers >= limits.healthWatchersMax) {
        const message = `${limits.healthWatchersMax} callers are watching already, the most allowed; use Check.`;
        throw new ConnectError(message, Code.ResourceExhausted);
      }
      watchers++;
      try {
        yield* changes(service, context);
      } finally {
        watchers--;
      }
    },
  };
}

/** Ends early when one of the signals fires. */
function pause(ms: number, signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    function end(): void {
      clearTimeout(handle);
      for (const signal of signals) signal.removeEventListener("abort", end);
      resolve();
    }
    const handle = setTimeout(end, ms);
    for (const signal of signals) signal.addEventListener("abort", end);
    if (signals.some((signal) => signal.aborted)) end();
  });
}
