/** Acting on executions over `/v1`. */
import { OrchyError } from "../../errors.ts";
import * as requests from "../schemas.ts";
import * as answers from "./answer-schemas.ts";
import { payloadText } from "./payload.ts";
import { type Route, route } from "./route.ts";
import { given } from "./workflow-routes.ts";

const idPath = { id: requests.executionIdSchema };
const operationErrors = ["NOT_FOUND", "DELETED", "INVALID_STATE"] as const;

function operation(name: "pause" | "resume" | "cancel", summary: string): Route {
  return route(`POST /v1/executions/{id}/${name}`, {
    tag: "Operations",
    summary,
    access: "run",
    params: idPath,
    body: name === "cancel" ? requests.cancelSchema : requests.operationSchema,
    bodyOptional: true,
    answers: { 200: answers.operationAnswerSchema },
    errors: [...operationErrors, "CONFLICT"],
    async handle({ params: { id }, body, services, audit }) {
      const request = { id, operation: name, ...given(body) };
      const status = await services.orchestrator.operate(request);
      audit(`execution ${pastTense[name]}`, id);
      return { status: 200, json: { id, status } };
    },
  });
}

const pastTense = { pause: "paused", resume: "resumed", cancel: "cancelled" } as const;

/** Part of the language, not built yet: callers hear so, not that there is no such route. */
function later(path: `/${string}`, summary: string): Route {
  const actionId = path.includes("{actionId}") ? { actionId: requests.actionIdSchema } : {};
  return route(`POST ${path}`, {
    tag: "Operations",
    summary: `${summary} (not built yet)`,
    access: "run",
    params: { ...idPath, ...actionId },
    answers: {},
    errors: ["NOT_IMPLEMENTED"],
    handle() {
      throw new OrchyError("NOT_IMPLEMENTED", "This operation is not built yet.");
    },
  });
}

export const operationRoutes: readonly Route[] = [
  operation("pause", "Start nothing new; results and signals are kept"),
  operation("resume", "Start what was held"),
  operation("cancel", "End it and what it has open"),
  route("POST /v1/executions/{id}/signal", {
    tag: "Operations",
    summary: "Send an event; a `signalId` makes a repeat harmless",
    access: "run",
    params: idPath,
    body: requests.signalSchema,
    answers: { 200: answers.signalAnswerSchema },
    errors: [...operationErrors, "CONFLICT", "TOO_MANY"],
    async handle(call) {
      const { event, signalId } = call.body;
      const outcome = await call.services.orchestrator.signal({
        id: call.params.id,
        event,
        payload: payloadText(call, ["payload"], "null"),
        ...given({ signalId }),
      });
      return { status: 200, json: { outcome } };
    },
  }),
  route("DELETE /v1/executions/{id}", {
    tag: "Operations",
    summary: "Remove a finished execution",
    params: idPath,
    answers: { 204: null },
    errors: operationErrors,
    async handle({ params, services, audit }) {
      await services.orchestrator.deleteExecution(params.id);
      audit("execution deleted", params.id);
      return { status: 204 };
    },
  }),
  later("/v1/executions/{id}/retry", "Run again what failed"),
  later("/v1/executions/{id}/rerun", "Run again from an action"),
  later("/v1/executions/{id}/actions/{actionId}/skip", "Skip an open action"),
  later("/v1/executions/{id}/actions/{actionId}/complete", "Complete an open action by hand"),
  later("/v1/executions/{id}/actions/{actionId}/fail", "Fail an open action by hand"),
  later("/v1/executions/{id}/actions/{actionId}/retry-now", "End an action's backoff"),
];
