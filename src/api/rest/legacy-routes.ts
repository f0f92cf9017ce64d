/** The routes as they were before `/v1`, so that existing scripts go on running. */
import { defined } from "../../base/defined.ts";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { ActionDefinition } from "../../model/definition.ts";
import * as requests from "../schemas.ts";
import * as legacy from "./legacy-schemas.ts";
import { payloadText } from "./payload.ts";
import type { AnyCall } from "./request.ts";
import { type Route, route } from "./route.ts";
import { traceOf } from "./trace-context.ts";
import { legacyExecutionView, legacyState } from "./views.ts";
import { definitionBody } from "./workflow-routes.ts";

const common = { tag: "Legacy routes", style: "legacy" } as const;
const namePath = { name: requests.nameSchema };
const flowPath = { name: requests.nameSchema, id: requests.executionIdSchema };

/** An old definition may hold fields that mean nothing any more: the log says so. */
function saveWorkflow(path: "/workflow" | "/metadata/workflow"): Route {
  return route(`POST ${path}`, {
    id: path === "/workflow" ? "legacySaveWorkflow" : "legacySaveMetadataWorkflow",
    ...common,
    summary: "Save a definition",
    description: "As `POST /v1/workflows`, but obsolete fields only cause a warning.",
    ...definitionBody,
    body: requests.legacyDefinitionSchema,
    responses: { 200: legacy.createdSchema },
    async handle({ body, services, audit }) {
      const { orchestrator, log } = services;
      const saved = await orchestrator.saveWorkflow(body, { lenient: true });
      const { name, version, warnings } = saved;
      if (saved.created) audit("workflow saved", `${name} version ${version}`);
      if (warnings.length > 0) {
        const sentences = warnings
          .map(({ pointer, message }) => `${pointer}: ${message}`)
          .join(" ");
        log.warn("a workflow was saved with warnings", { name, version, warnings: sentences });
      }
      return { status: 200, json: { created: true } };
    },
  });
}

function readWorkflow(path: "/workflow/{name}" | "/metadata/workflow/{name}"): Route {
  return route(`GET ${path}`, {
    id: path === "/workflow/{name}" ? "legacyGetWorkflow" : "legacyGetMetadataWorkflow",
    ...common,
    summary: "The newest definition",
    description: "The definition alone, without its version.",
    params: namePath,
    responses: { 200: requests.definitionSchema },
    errors: ["NOT_FOUND", "DELETED"],
    async handle({ params, services }) {
      const { definition } = await services.orchestrator.getWorkflow(params.name);
      return { status: 200, json: definition };
    },
  });
}

function startFlow(path: "/flow/execute" | "/execution"): Route {
  return route(`POST ${path}`, {
    id: path === "/execution" ? "legacyStartExecution" : "legacyExecuteFlow",
    ...common,
    summary: "Start an execution of the newest version",
    description: "Returns its id as `flowId`; `POST /v1/executions` takes more.",
    access: "run",
    body: requests.legacyStartSchema,
    responses: { 200: legacy.flowSchema },
    errors: ["NOT_FOUND", "RESOURCE_EXHAUSTED", "UNKNOWN_OUTCOME"],
    async handle(call) {
      const input = payloadText(call, ["input"], "{}");
      const { body, headers, services } = call;
      const start = { workflow: body.name, input, ...traceOf(headers) };
      const { id } = await services.orchestrator.start(start);
      return { status: 200, json: { flowId: id } };
    },
  });
}

/** Once by POST, later by GET, which changes things as it always did. */
function operations(operation: "pause" | "resume"): readonly Route[] {
  const Operation = operation === "pause" ? "Pause" : "Resume";
  const rules = {
    ...common,
    summary: operation === "pause" ? "Start nothing new" : "Resume a paused execution",
    description: `As \`POST /v1/executions/{id}/${operation}\`.`,
    changes: true,
    access: "run",
    responses: { 200: legacy.legacyOperationSchema },
    errors: ["NOT_FOUND", "DELETED", "INVALID_STATE"],
  } as const;
  type Operated = Pick<AnyCall, "services" | "audit" | "who">;
  async function operate(workflow: string, id: string, { services, audit, who }: Operated) {
    const request = { id, workflow, operation, ...defined({ who }) };
    const status = await services.orchestrator.operate(request);
    audit(operation === "pause" ? "execution paused" : "execution resumed", id);
    return { status: 200, json: { id, state: legacyState({ status, actions: [] }) } };
  }
  return [
    route(`POST /flow/${operation}`, {
      id: `legacy${Operation}Flow`,
      ...rules,
      body: requests.legacyFlowSchema,
      bodyBytesMax: limits.controlBodyBytesMax,
      handle: (call) => operate(call.body.name, call.body.flowId, call),
    }),
    route(`GET /execution/{name}/{id}/${operation}`, {
      id: `legacy${Operation}Execution`,
      ...rules,
      params: flowPath,
      handle: (call) => operate(call.params.name, call.params.id, call),
    }),
  ];
}

function sendEvent(path: "/flow/event" | "/event"): Route {
  return route(`POST ${path}`, {
    id: path === "/event" ? "legacySendEvent" : "legacySendFlowEvent",
    ...common,
    summary: "Send an event to an execution",
    description: "As `POST /v1/executions/{id}/signal`, with the id in the body.",
    access: "run",
    body: requests.legacyEventSchema,
    responses: { 200: null },
    errors: ["NOT_FOUND", "DELETED", "INVALID_STATE", "TOO_MANY"],
    async handle(call) {
      const { name: workflow, flowId: id, event } = call.body;
      const payload = payloadText(call, ["payload"], "null");
      await call.services.orchestrator.signal({ id, workflow, event, payload });
      return { status: 200 };
    },
  });
}

/** Snake case, with the values that apply where the definition is silent. */
function legacyAction(definition: ActionDefinition): unknown {
  return {
    name: definition.name,
    retry_count: definition.retryCount ?? limits.retryCountDefault,
    retry_after_seconds: definition.retryAfterSeconds ?? limits.retryAfterSecondsDefault,
    retry_policy: definition.retryPolicy ?? "EXPONENTIAL",
    timeout_seconds: definition.timeoutSeconds ?? limits.attemptTimeoutSecondsDefault,
  };
}

export const legacyRoutes: readonly Route[] = [
  saveWorkflow("/workflow"),
  saveWorkflow("/metadata/workflow"),
  readWorkflow("/workflow/{name}"),
  readWorkflow("/metadata/workflow/{name}"),
  route("POST /metadata/action", {
    id: "legacySaveAction",
    ...common,
    summary: "Save the rules of a user action",
    description: "As `PUT /v1/actions/{name}`, with the name in the body.",
    body: requests.legacyActionDefinitionSchema,
    bodyBytesMax: limits.controlBodyBytesMax,
    responses: { 200: legacy.createdSchema },
    errors: ["DEFINITION_REFUSED"],
    async handle({ body, services, audit }) {
      const saved = await services.orchestrator.saveAction(body, { lenient: true, byWorker: true });
      if (saved.changed) audit("action saved", saved.definition.name);
      return { status: 200, json: { created: true } };
    },
  }),
  route("GET /metadata/action/{name}", {
    id: "legacyGetAction",
    ...common,
    summary: "The rules of a user action",
    description: "In snake case, with the values that apply where the definition is silent.",
    params: { name: requests.actionNameSchema },
    responses: { 200: legacy.legacyActionSchema },
    errors: ["NOT_FOUND"],
    async handle({ params, services }) {
      const { definition } = await services.orchestrator.getAction(params.name);
      return { status: 200, json: legacyAction(definition) };
    },
  }),
  startFlow("/flow/execute"),
  startFlow("/execution"),
  route("GET /execution/{name}/{id}", {
    id: "legacyGetExecution",
    ...common,
    summary: "State and data of an execution",
    description: "As the Go server sent it; `/v1/executions/{id}` returns more.",
    params: flowPath,
    responses: { 200: legacy.legacyExecutionSchema },
    errors: ["NOT_FOUND", "DELETED"],
    async handle({ params: { name, id }, services, signal }) {
      const execution = await services.orchestrator.getExecution(id, signal);
      if (execution.workflow !== name) {
        const message = `There is no execution ${id} of the workflow ${name}.`;
        throw new OrchyError("NOT_FOUND", message);
      }
      return { status: 200, json: legacyExecutionView(execution) };
    },
  }),
  ...operations("pause"),
  ...operations("resume"),
  sendEvent("/flow/event"),
  sendEvent("/event"),
];
