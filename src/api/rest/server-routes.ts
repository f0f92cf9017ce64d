/** For operators and monitors: workers, servers, health, metrics, and a list of the routes. */
import { schemaDocument } from "../../language/check/schema.ts";
import { openapiDocument } from "../openapi.ts";
import { moment } from "./json.ts";
import { type Route, route } from "./route.ts";
import * as servers from "./server-schemas.ts";

const tag = "Server";

export const serverRoutes: readonly Route[] = [
  route("GET /v1/workers", {
    id: "listWorkers",
    tag,
    summary: "List workers that poll this server",
    description:
      "Workers that polled this server within the last minutes, with their actions and queues and the time of the last poll.",
    responses: { 200: servers.workersSchema },
    handle({ services }) {
      const { workers, leftOut } = services.orchestrator.workers();
      const items = workers.map((worker) => ({
        ...worker,
        lastSeenAt: moment(worker.lastSeenAt),
      }));
      return { status: 200, json: { items, ...(leftOut > 0 && { leftOut }) } };
    },
  }),
  route("GET /v1/servers", {
    id: "listServers",
    tag,
    summary: "Live servers",
    description:
      "Servers that share the store, with their addresses, versions and the format that each reads.",
    responses: { 200: servers.serversSchema },
    async handle({ services }) {
      const servers = await services.orchestrator.servers();
      const items = servers.map((one) => ({ ...one, startedAt: moment(one.startedAt) }));
      return { status: 200, json: { items } };
    },
  }),
  route("GET /health/live", {
    id: "getLiveness",
    tag,
    summary: "Liveness: 200 while the process needs no restart",
    description: "For supervisors: 503 means that the process must be restarted.",
    access: "open",
    responses: { 200: servers.liveSchema, 503: servers.brokenSchema },
    handle({ services }) {
      const reason = services.orchestrator.broken();
      if (reason === undefined) return { status: 200, json: { status: "live" } };
      return { status: 503, json: { status: "broken", reason } };
    },
  }),
  route("GET /health/ready", {
    id: "getReadiness",
    tag,
    summary: "Readiness: whether the server takes work now, and why not",
    description:
      "For load balancers: 503 while the server takes no work, with the reason by check.",
    access: "open",
    responses: { 200: servers.readinessSchema, 503: servers.readinessSchema },
    async handle({ services }) {
      const readiness = await services.orchestrator.readiness();
      return { status: readiness.ready ? 200 : 503, json: readiness };
    },
  }),
];

/** Routes that list the others. */
export function selfRoutes(all: () => readonly Route[]): readonly Route[] {
  let document: unknown;
  return [
    route("GET /", {
      id: "getIndex",
      tag,
      summary: "What is here",
      description: "A short list of the routes to begin with, as text.",
      access: "key",
      responses: { 200: "text/plain; charset=utf-8" },
      handle: () => ({ status: 200, text: { type: "text/plain; charset=utf-8", body: index } }),
    }),
    route("GET /openapi.json", {
      id: "getOpenapi",
      tag,
      summary: "This document",
      description: "All routes of this server and its worker service in JSON, as OpenAPI 3.1.",
      access: "key",
      responses: { 200: "application/json" },
      handle() {
        document ??= openapiDocument(all());
        return { status: 200, json: document };
      },
    }),
    route("GET /schemas/workflow.json", {
      id: "getWorkflowSchema",
      tag,
      summary: "JSON Schema of workflow definitions, for editors",
      description: "The language as JSON Schema 2020-12, for editors and checks before a save.",
      access: "key",
      responses: { 200: "application/json" },
      handle: () => ({ status: 200, json: workflowSchema }),
    }),
    route("GET /schemas/action.json", {
      id: "getActionSchema",
      tag,
      summary: "JSON Schema of action definitions, for editors",
      description: "The rules of a user action as JSON Schema 2020-12.",
      access: "key",
      responses: { 200: "application/json" },
      handle: () => ({ status: 200, json: actionSchema }),
    }),
    route("GET /metrics", {
      id: "getMetrics",
      tag,
      summary: "Metrics of this server, as Prometheus text",
      description: "Counters, gauges and histograms of this process.",
      responses: { 200: metricsType },
      async handle({ services }) {
        const body = await services.metrics.text();
        return { status: 200, text: { type: metricsType, body } };
      },
    }),
  ];
}

const workflowSchema = schemaDocument("workflow");
const actionSchema = schemaDocument("action");

const index = `Orchy, a workflow orchestrator.

/openapi.json   all routes, as OpenAPI 3.1
/schemas/workflow.json, /schemas/action.json   the language, as JSON Schema
/v1/workflows   definitions
/v1/executions  executions
/v1/workers     who polls for work
/v1/keys        who may do what
/health/ready   whether this server can take work
/metrics        Prometheus text
`;

const metricsType = "text/plain; version=0.0.4; charset=utf-8";
