/** Acting on executions over `/v1`. */

import { defined } from "../../base/defined.ts";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { Operation } from "../../model/event.ts";
import * as requests from "../schemas.ts";
import * as answers from "./answer-schemas.ts";
import { payloadText } from "./payload.ts";
import { type Route, route } from "./route.ts";

const idPath = { id: requests.executionIdSchema };
const operationErrors = ["NOT_FOUND", "DELETED", "INVALID_STATE"] as const;

function operation(name: Operation, documented: Documented): Route {
  return route(`POST /v1/executions/{id}/${name}`, {
    id: `${name}Execution`,
    tag: "Operations",
    ...documented,
    access: "run",
    params: idPath,
    body: name === "cancel" ? requests.cancelSchema : requests.operationSchema,
    bodyOptional: true,
    bodyBytesMax: limits.controlBodyBytesMax,
    answers: { 200: answers.operationAnswerSchema },
    errors: [...operationErrors, "CONFLICT"],
    async handle({ params: { id }, body, services, audit }) {
      const request = { id, operation: name, ...defined(body) };
      const status = await services.orchestrator.operate(request);
      audit(`execution ${pastTense[name]}`, id);
      return { status: 200, json: { id, status } };
    },
  });
}

interface Documented {
  readonly summary: string;
  readonly description: string;
}

const pastTense = { pause: "paused", resume: "resumed", cancel: "cancelled" } as const;

/** Part of the language, not built yet: callers get NOT_SUPPORTED instead of an unknown route. */
function later(id: string, path: `/${string}`, summary: string): Route {
  const actionId = path.includes("{actionId}") ? { actionId: requests.actionIdSchema } : {};
  return route(`POST ${path}`, {
    id,
    tag: "Operations",
    summary: `${summary} (not built yet)`,
    description: "Every call returns 501.",
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
  operation("pause", {
    summary: "Start nothing new",
    description:
      "Running tasks go on; their results and incoming signals are kept until the execution is resumed.",
  }),
  operation("resume", {
    summary: "Resume a paused execution",
    description:
      "Applies the results and signals received during the pause, and starts the actions that were held back.",
  }),
  operation("cancel", {
    summary: "Cancel an execution and its open actions",
    description:
      "Workers learn of it with their next heartbeat or poll; later results are ignored.",
  }),
  route("POST /v1/executions/{id}/signal", {
    id: "signalExecution",
    tag: "Operations",
    summary: "Send a signal; a `signalId` makes a repeat harmless",
    description:
      "Sends an event to an execution that waits for it, now or later. A `signalId` makes a repeat harmless.",
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
        ...defined({ signalId }),
      });
      return { status: 200, json: { outcome } };
    },
  }),
  route("DELETE /v1/executions/{id}", {
    id: "deleteExecution",
    tag: "Operations",
    summary: "Delete a finished execution",
    description: "Reading it returns 410 while its id is remembered, and 404 after that.",
    params: idPath,
    answers: { 204: null },
    errors: operationErrors,
    async handle({ params, services, audit }) {
      await services.orchestrator.deleteExecution(params.id);
      audit("execution deleted", params.id);
      return { status: 204 };
    },
  }),
  later("retryExecution", "/v1/executions/{id}/retry", "Retry the failed actions"),
  later("rerunExecution", "/v1/executions/{id}/rerun", "Rerun from an action"),
  later("skipAction", "/v1/executions/{id}/actions/{actionId}/skip", "Skip an open action"),
  later(
    "completeAction",
    "/v1/executions/{id}/actions/{actionId}/complete",
    "Complete an open action with a given output",
  ),
  later(
    "failAction",
    "/v1/executions/{id}/actions/{actionId}/fail",
    "Fail an open action with a given error",
  ),
  later(
    "retryActionNow",
    "/v1/executions/{id}/actions/{actionId}/retry-now",
    "End an action's backoff",
  ),
];
