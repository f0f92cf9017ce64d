/** Acting on executions over `/v1`. */
import type * as v from "valibot";
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import type { OperationRequest } from "../../model/event.ts";
import type { Orchestrator } from "../../runtime/shared/orchestrator.ts";
import * as requests from "../schemas.ts";
import { payloadText } from "./payload.ts";
import type { AnyCall } from "./request.ts";
import * as responses from "./response-schemas.ts";
import { type Answer, type Call, type Route, route } from "./route.ts";
import { traceOf } from "./trace-context.ts";

const idPath = { id: requests.executionIdSchema };
const operationErrors = ["NOT_FOUND", "DELETED", "INVALID_STATE"] as const;

interface Documented {
  readonly summary: string;
  readonly description: string;
  /** What the audit log says that has been done, and to what, beside the execution. */
  readonly done: string;
}

/** Does it, and returns the status that follows. */
async function operate(
  call: Pick<AnyCall, "services" | "audit" | "who">,
  { id, done, reason, ...request }: Parameters<Orchestrator["operate"]>[0] & { done: string },
): Promise<Answer> {
  const by = defined({ reason, who: call.who });
  const status = await call.services.orchestrator.operate({ id, ...request, ...by });
  call.audit(done, "action" in request ? `${id} action ${request.action}` : id, reason);
  return { status: 200, json: { id, status } };
}

/** An operation on a whole execution that needs no more than its name. */
function operation(
  name: "pause" | "resume" | "cancel" | "retry",
  { done, ...documented }: Documented,
): Route {
  return route(`POST /v1/executions/{id}/${name}`, {
    id: `${name}Execution`,
    tag: "Operations",
    ...documented,
    access: "run",
    params: idPath,
    body: requests.operationSchema,
    bodyOptional: true,
    bodyBytesMax: limits.controlBodyBytesMax,
    responses: { 200: responses.operationAnswerSchema },
    errors: [...operationErrors, "CONFLICT"],
    handle: (call) =>
      operate(call, { id: call.params.id, operation: name, done, ...defined(call.body) }),
  });
}

/** An operation on one action; `ask` reads what else its body says. */
function onAction<
  Name extends ActionRequest["operation"],
  Body extends v.GenericSchema<unknown, v.InferOutput<typeof requests.operationSchema>>,
>(
  name: Name,
  {
    body,
    ask,
    done,
    ...documented
  }: Documented & {
    readonly body: Body;
    readonly ask: (
      call: Call<unknown, unknown, v.InferOutput<Body>>,
    ) => Omit<Extract<ActionRequest, { operation: Name }>, "operation" | "action">;
  },
): Route {
  return route(`POST /v1/executions/{id}/actions/{actionId}/${name}`, {
    id: operationIds[name],
    tag: "Operations",
    ...documented,
    access: "run",
    params: { ...idPath, actionId: requests.actionIdSchema },
    body,
    bodyOptional: true,
    bodyExact: true,
    responses: { 200: responses.operationAnswerSchema },
    errors: [...operationErrors, "CONFLICT"],
    handle(call) {
      const { id, actionId: action } = call.params;
      const { reason, operationId } = call.body;
      const asked = { operation: name, action, ...ask(call) } as ActionRequest;
      return operate(call, { id, ...asked, done, ...defined({ reason, operationId }) });
    },
  });
}

type ActionRequest = Extract<OperationRequest, { operation: keyof typeof operationIds }>;

const operationIds = {
  skip: "skipAction",
  complete: "completeAction",
  fail: "failAction",
  "retry-now": "retryActionNow",
  "max-concurrency": "setMaxConcurrency",
} as const;

export const operationRoutes: readonly Route[] = [
  operation("pause", {
    summary: "Start nothing new",
    description:
      "Running tasks go on; their results and incoming signals are kept until the execution is resumed.",
    done: "execution paused",
  }),
  operation("resume", {
    summary: "Resume a paused execution",
    description:
      "Applies the results and signals received during the pause, and starts the actions that were held back.",
    done: "execution resumed",
  }),
  operation("cancel", {
    summary: "Cancel an execution and its open actions",
    description:
      "Workers learn of it with their next heartbeat or poll; later results are ignored.",
    done: "execution cancelled",
  }),
  operation("retry", {
    summary: "Run what failed or was cancelled again",
    description:
      "Of an execution that is FAILED, TIMED_OUT or CANCELLED: a new run with a fresh timeout, in which the failures " +
      "that ended it and what was cancelled with them start anew. Failures that were handled and outputs stand.",
    done: "execution retried",
  }),
  route("POST /v1/executions/{id}/signal", {
    id: "signalExecution",
    tag: "Operations",
    summary: "Send a signal; a `signalId` makes a repeat harmless",
    description:
      "Sends an event to an execution that waits for it, now or later. A `signalId` makes a repeat harmless. " +
      "The answer says whether an action took it, and warns when none of the workflow waits for such an event.",
    access: "run",
    params: idPath,
    body: requests.signalSchema,
    responses: { 200: responses.signalAnswerSchema },
    errors: [...operationErrors, "CONFLICT", "TOO_MANY"],
    async handle(call) {
      const { event, signalId } = call.body;
      const { warning, ...answer } = await call.services.orchestrator.signal({
        id: call.params.id,
        event,
        payload: payloadText(call, ["payload"], "null"),
        ...defined({ signalId }),
      });
      const warnings =
        warning === undefined ? undefined : [{ pointer: "/event", message: warning }];
      return { status: 200, json: { ...answer, warnings } };
    },
  }),
  route("POST /v1/signals", {
    id: "signalCorrelated",
    tag: "Operations",
    summary: "Send a signal to the executions of a `correlationId`",
    description:
      "All open executions of the `correlationId` whose workflow has a wait for the event get it, at most " +
      `${limits.signalTargetsMax}; the answer lists them. 404: there is none. 429: there are more, and ` +
      "none got it. A `signalId` makes a repeat harmless.",
    access: "run",
    body: requests.signalAllSchema,
    responses: { 200: responses.signalAllAnswerSchema },
    errors: ["NOT_FOUND", "CONFLICT", "TOO_MANY", "UNKNOWN_OUTCOME"],
    async handle(call) {
      const { correlationId, event, signalId } = call.body;
      const payload = payloadText(call, ["payload"], "null");
      const request = { correlationId, event, payload, ...defined({ signalId }) };
      return { status: 200, json: { sent: await call.services.orchestrator.signalAll(request) } };
    },
  }),
  route("DELETE /v1/executions/{id}", {
    id: "deleteExecution",
    tag: "Operations",
    summary: "Delete a finished execution",
    description: "Reading it returns 410 while its id is remembered, and 404 after that.",
    params: idPath,
    responses: { 204: null },
    errors: operationErrors,
    async handle({ params, services, audit }) {
      await services.orchestrator.deleteExecution(params.id);
      audit("execution deleted", params.id);
      return { status: 204 };
    },
  }),
  route("POST /v1/executions/{id}/rerun", {
    id: "rerunExecution",
    tag: "Operations",
    summary: "Run an action and all after it again",
    description:
      "Of an execution that is PAUSED or has ended: a new run with a fresh timeout, in which `action` and all after it " +
      "are reset and start anew, `action` with other `parameters` if there are any. What the end had failed or " +
      "cancelled elsewhere starts anew as well.",
    access: "run",
    params: idPath,
    body: requests.rerunSchema,
    responses: { 200: responses.operationAnswerSchema },
    errors: [...operationErrors, "CONFLICT"],
    handle(call) {
      const { action, reason, operationId } = call.body;
      return operate(call, {
        id: call.params.id,
        operation: "rerun",
        action: `${action}`,
        done: "execution rerun",
        ...defined({ reason, operationId }),
        ...("parameters" in call.body && { parameters: payloadText(call, ["parameters"], "{}") }),
      });
    },
  }),
  route("POST /v1/executions/{id}/fork", {
    id: "forkExecution",
    tag: "Operations",
    summary: "Start a new execution from before an action",
    description:
      "What was decided, and does not come after `action`, is taken over with its output, or with the one in `outputs`; " +
      "all else starts anew. The original is not changed. In another `version` the actions that are taken over must be " +
      "equal. With an `executionId` or `operationId` the call may be repeated safely.",
    access: "run",
    params: idPath,
    body: requests.forkSchema,
    responses: { 202: responses.startedSchema },
    errors: [...operationErrors, "CONFLICT", "TOO_LARGE", "RESOURCE_EXHAUSTED", "UNKNOWN_OUTCOME"],
    async handle(call) {
      const { params, body, services, audit, who, headers } = call;
      const { action, outputs = {}, executionId, version, reason, operationId } = body;
      const started = await services.orchestrator.fork({
        id: params.id,
        action: `${action}`,
        outputs: new Map(
          Object.keys(outputs).map((key) => [key, payloadText(call, ["outputs", key], "null")]),
        ),
        ...defined({ executionId, version, reason, operationId, who }),
        ...traceOf(headers),
      });
      audit("execution forked", `${params.id} action ${action} to ${started.id}`, reason);
      const location = `/v1/executions/${encodeURIComponent(started.id)}`;
      return { status: 202, json: started, headers: { location } };
    },
  }),
  onAction("skip", {
    summary: "Skip an open action",
    description:
      "The action counts as completed, with `output` (default `{}`) and the route `default`. Its status is SKIPPED.",
    done: "action skipped",
    body: requests.skipSchema,
    ask: (call) => ({ output: payloadText(call, ["output"], "{}") }),
  }),
  onAction("complete", {
    summary: "Complete an open action by hand",
    description:
      "The action ends with `output` (default `{}`) and takes `route` (default `default`). A later result of its worker is stale.",
    done: "action completed",
    body: requests.completeSchema,
    ask: (call) => ({
      output: payloadText(call, ["output"], "{}"),
      ...defined({ route: call.body.route }),
    }),
  }),
  onAction("fail", {
    summary: "Fail an open action by hand",
    description: "The action fails finally: it is not retried; `onError` and `optional` apply.",
    done: "action failed",
    body: requests.failSchema,
    ask(call) {
      const { code, message, details } = call.body;
      payloadText(call, ["details"], "null", limits.errorDetailsBytesMax);
      return { failure: { code, message, ...defined({ details }) } };
    },
  }),
  onAction("retry-now", {
    summary: "End an action's backoff",
    description: "The next attempt of an action that is RETRYING starts at once.",
    done: "action retried",
    body: requests.operationSchema,
    ask: () => ({}),
  }),
  onAction("max-concurrency", {
    summary: "Change how many items of a map are open at the same time",
    description:
      "Of a map that is open, for its rest. Items that are open beyond a lower number go on.",
    done: "map changed",
    body: requests.maxConcurrencySchema,
    ask: ({ body: { maxConcurrency } }) => ({ maxConcurrency }),
  }),
];
