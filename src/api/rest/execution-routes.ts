/** Starting and reading executions over `/v1`. */

import * as v from "valibot";
import { inBytes } from "../../base/amount.ts";
import { defined } from "../../base/defined.ts";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { isOpen } from "../../model/execution.ts";
import { decodeCursor } from "../../runtime/services/listing.ts";
import type { ExecutionResult, StartAnswer } from "../../runtime/shared/orchestrator.ts";
import { asError } from "../../telemetry/log.ts";
import * as requests from "../schemas.ts";
import { eventStream } from "./event-stream.ts";
import { frameView, payloadChoices, smallView } from "./execution-page.ts";
import { moment } from "./json.ts";
import { payloadText } from "./payload.ts";
import * as responses from "./response-schemas.ts";
import { type Answer, type Call, type Route, route } from "./route.ts";
import { traceOf } from "./trace-context.ts";
import { entryView, executionView, itemView, listingView, pageView, resultView } from "./views.ts";

const idPath = { id: requests.executionIdSchema };
const wait = { wait: v.optional(requests.waitSchema) };

type StartCall = Call<unknown, { wait?: number | undefined }, StartBody>;
type StartBody = v.InferOutput<typeof requests.startSchema>;

async function start(call: StartCall): Promise<Answer> {
  const { body, query, headers, services } = call;
  const { workflow, version, executionId, correlationId, priority, signal } = body;
  const idempotencyKey = headers.get("idempotency-key") ?? undefined;
  if (executionId !== undefined && idempotencyKey !== undefined) {
    const message = "It cannot be combined with the header Idempotency-Key; send one of them.";
    throw new OrchyError("INVALID_ARGUMENT", "The body is invalid.", [
      { pointer: "/executionId", message },
    ]);
  }
  const started = await services.orchestrator.start({
    workflow,
    input: payloadText(call, ["input"], "{}"),
    ...defined({ version, executionId, correlationId, priority, idempotencyKey }),
    ...defined({
      signal: signal && {
        event: signal.event,
        payload: payloadText(call, ["signal", "payload"], "null"),
      },
    }),
    ...traceOf(headers),
  });
  const waits = query.wait !== undefined && started.deleted === undefined;
  const result = waits ? await resultInTime(call, started) : undefined;
  const location = `/v1/executions/${encodeURIComponent(started.id)}`;
  if (result) {
    const json = { ...resultView(result), created: started.created };
    return { status: 200, json, headers: { location } };
  }
  const { endedAt, ...rest } = started;
  return { status: 202, json: { ...rest, endedAt: moment(endedAt) }, headers: { location } };
}

/** The start stands, whatever happens to the wait: its caller must get the id. */
async function resultInTime(
  call: StartCall,
  { id }: StartAnswer,
): Promise<ExecutionResult | undefined> {
  const { query, services } = call;
  try {
    const result = await waitFor(id, query.wait, call);
    return isOpen(result.status) ? undefined : result;
  } catch (error) {
    if (error instanceof OrchyError && error.code === "DELETED") {
      const message = `The execution ${id} ended, and was removed before its result was read.`;
      throw new OrchyError("DELETED", message, [], { id });
    }
    if (!(error instanceof OrchyError)) {
      services.log.error("waiting for a result failed", { id, error: asError(error) });
    }
    return undefined;
  }
}

/** When the caller is gone, or the server stops, the wait is pointless. */
function waitFor(
  id: string,
  seconds: number | undefined,
  { services, wait, signal: gone }: Pick<StartCall, "services" | "wait" | "signal">,
): Promise<ExecutionResult> {
  const { orchestrator } = services;
  if (!seconds) return orchestrator.waitForResult(id, 0, gone);
  const { signal } = wait();
  return orchestrator.waitForResult(id, signal.aborted ? 0 : seconds * 1000, signal);
}

export const executionRoutes: readonly Route[] = [
  route("POST /v1/executions", {
    id: "startExecution",
    tag: "Executions",
    summary: "Start an execution",
    description:
      "Of the newest version, or of `version`. With `wait`, returns 200 and the result if it ends in time, " +
      "else 202. With an `Idempotency-Key`, or an `executionId`, the call may be repeated safely.",
    access: "run",
    query: wait,
    body: requests.startSchema,
    headers: { "idempotency-key": v.optional(requests.idempotencyKeySchema) },
    responses: { 200: responses.startedResultSchema, 202: responses.startedSchema },
    errors: ["NOT_FOUND", "CONFLICT", "DELETED", "RESOURCE_EXHAUSTED", "UNKNOWN_OUTCOME"],
    handle: start,
  }),
  route("GET /v1/executions", {
    id: "listExecutions",
    tag: "Executions",
    summary: "Executions, newest first",
    description:
      "Filtered by workflow, status, correlation id and time of the start; the filters combine.",
    query: {
      workflow: v.optional(requests.nameSchema),
      status: v.optional(requests.statusSchema),
      correlationId: v.optional(requests.correlationIdSchema),
      parent: v.pipe(
        v.optional(requests.executionIdSchema),
        v.description("The children of this execution, those of inline definitions among them."),
      ),
      startedAfter: v.optional(requests.momentSchema),
      startedBefore: v.optional(requests.momentSchema),
      limit: requests.limitSchema,
      cursor: requests.cursorSchema((text) => decodeCursor(text) !== undefined),
    },
    responses: { 200: responses.executionsSchema },
    async handle({ query, services, signal }) {
      const { startedAfter, startedBefore, ...rest } = query;
      const request = {
        ...defined(rest),
        ...defined({
          startedAfter: startedAfter === undefined ? undefined : requests.parseMoment(startedAfter),
          startedBefore:
            startedBefore === undefined ? undefined : requests.parseMoment(startedBefore),
        }),
      };
      const page = await services.orchestrator.listExecutions(request, signal);
      return { status: 200, json: pageView(page, listingView) };
    },
  }),
  route("GET /v1/executions/{id}", {
    id: "getExecution",
    tag: "Executions",
    summary: "Get an execution: status, actions with attempts, data, result, error",
    description:
      "Status, each action with its attempts and times, the data that templates see, the result and the error. " +
      "Payloads may be large: `payloads=small` has sizes in place of those above " +
      `${inBytes(limits.smallPayloadBytesMax)} and leaves out \`data\`; ` +
      "`payloads=none` has none of them.",
    params: idPath,
    query: { payloads: v.optional(v.picklist(payloadChoices)) },
    responses: { 200: responses.executionSchema },
    errors: ["NOT_FOUND", "DELETED"],
    async handle({ params, query, services, signal }) {
      const execution = await services.orchestrator.getExecution(params.id, signal);
      if (query.payloads === "none") return { status: 200, json: frameView(execution) };
      if (query.payloads === "small") return { status: 200, json: await smallView(execution) };
      return { status: 200, json: executionView(execution) };
    },
  }),
  route("GET /v1/executions/{id}/actions/{actionId}/items", {
    id: "listItems",
    tag: "Executions",
    summary: "Items of a map, by index",
    description:
      "Each with its status and, once it has ended, its output or error. `after` is an index: the page " +
      "begins with the item behind it.",
    params: { ...idPath, actionId: requests.actionIdSchema },
    query: {
      status: v.optional(requests.actionStatusSchema),
      after: v.optional(requests.sequenceSchema),
      limit: requests.limitSchema,
      cursor: requests.cursorSchema((text) => /^\d{1,10}$/.test(text)),
    },
    responses: { 200: responses.itemsSchema },
    errors: ["NOT_FOUND", "DELETED"],
    async handle({ params: { id, actionId: actionKey }, query, services }) {
      const { after, status, limit, cursor = after === undefined ? after : `${after}` } = query;
      const request = { id, actionKey, limit, ...defined({ status, cursor }) };
      const page = await services.orchestrator.listItems(request);
      return { status: 200, json: pageView(page, itemView) };
    },
  }),
  route("GET /v1/executions/{id}/history", {
    id: "getExecutionHistory",
    tag: "Executions",
    summary: "Every change, oldest first",
    description: "All changes of the execution, in order, with the time of each.",
    params: idPath,
    query: {
      limit: requests.limitSchema,
      cursor: requests.cursorSchema((text) => /^\d{1,10}\.\d{1,6}$/.test(text)),
    },
    responses: { 200: responses.historySchema },
    errors: ["NOT_FOUND", "DELETED"],
    async handle({ params, query, services }) {
      const page = await services.orchestrator.history(params.id, defined(query));
      return { status: 200, json: pageView(page, entryView) };
    },
  }),
  route("GET /v1/executions/{id}/events", {
    id: "streamExecutionEvents",
    tag: "Executions",
    summary: "Changes as server-sent events",
    description:
      "Sends past changes first, then each new one, until the execution ends. `after` or " +
      "`Last-Event-ID` skips what the caller has received.",
    params: idPath,
    query: { after: v.optional(requests.sequenceSchema) },
    headers: { "last-event-id": v.optional(requests.sequenceSchema) },
    responses: { 200: "text/event-stream" },
    errors: ["NOT_FOUND", "DELETED", "TOO_MANY"],
    handle({ params, query, headers, services, wait }) {
      // A browser that reconnects repeats the address, so its header is the newer of the two.
      const after = Number(headers.get("last-event-id") ?? query.after ?? 0);
      return eventStream({ id: params.id, after }, services, wait);
    },
  }),
  route("GET /v1/executions/{id}/result", {
    id: "getExecutionResult",
    tag: "Executions",
    summary: "Status, and the result once there is one; with `wait`, as soon as it ends",
    description:
      "With `wait`, waits up to that many seconds for the end: 200 once it has ended, else 202.",
    params: idPath,
    query: wait,
    responses: { 200: responses.resultSchema, 202: responses.resultSchema },
    errors: ["NOT_FOUND", "DELETED"],
    async handle(call) {
      const result = await waitFor(call.params.id, call.query.wait, call);
      return { status: isOpen(result.status) ? 202 : 200, json: resultView(result) };
    },
  }),
];
