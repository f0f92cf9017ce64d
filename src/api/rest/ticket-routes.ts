/** For consumers of a broker that tasks are delivered to: each message has a ticket. */
import type * as v from "valibot";
import { limits } from "../../base/limits.ts";
import type { TaskOutcome } from "../../model/event.ts";
import { parseExact } from "../../model/numbers.ts";
import type { PolledTask } from "../../runtime/shared/polled-task.ts";
import type { TicketRefusal } from "../../runtime/shared/tickets.ts";
import { moment, raw } from "./json.ts";
import { payloadText } from "./payload.ts";
import type { AnyCall } from "./request.ts";
import { type Call, type Route, route } from "./route.ts";
import * as schemas from "./ticket-schemas.ts";

const tag = "Workers";
const type = "application/json";

export const ticketRoutes: readonly Route[] = [
  route("POST /v1/tasks/claim", {
    id: "claimTask",
    tag,
    summary: "Claim the task of a ticket",
    description:
      "Leases the task, as a poll does; heartbeats and the result go to the worker service, with " +
      "its `token`. Any other status says why there is no task, and whether to wait.",
    access: "worker",
    body: schemas.claimSchema,
    bodyBytesMax: limits.controlBodyBytesMax,
    responses: { 200: schemas.claimAnswerSchema },
    errors: ["UNKNOWN_OUTCOME"],
    async handle(call) {
      const { ticket, workerId = "", leaseSeconds = 0 } = call.body;
      await checkTicket(call, ticket);
      const leaseMs = Math.round(leaseSeconds * 1_000);
      const claim = await call.services.orchestrator.claimByTicket({ ticket, workerId, leaseMs });
      if (claim.status !== "claimed") return { status: 200, json: refusalView(claim) };
      return { status: 200, json: { status: "claimed", task: taskView(claim.task) } };
    },
  }),
  route("POST /v1/tasks/complete", {
    id: "completeTask",
    tag,
    summary: "Claim and complete the task of a ticket at once",
    description:
      "For short work that nobody else does meanwhile: the task must be on offer. A repeat is `done`.",
    access: "worker",
    body: schemas.completeSchema,
    responses: { 200: schemas.completeAnswerSchema },
    errors: ["TOO_LARGE", "RESOURCE_EXHAUSTED", "UNKNOWN_OUTCOME"],
    async handle(call) {
      const { ticket, workerId = "" } = call.body;
      await checkTicket(call, ticket);
      const outcome = outcomeOf(call);
      const result = { ticket, workerId, outcome };
      const answer = await call.services.orchestrator.completeByTicket(result);
      if (answer.status === "accepted") return { status: 200, json: answer };
      return { status: 200, json: refusalView(answer) };
    },
  }),
  route("GET /v1/tasks/{ticket}/parameters", {
    id: "getTaskParameters",
    tag,
    summary: "The parameters of the task of a ticket",
    description:
      "For messages that have a `parametersUrl`, as the parameters are too large for them.",
    access: "worker",
    params: { ticket: schemas.ticketSchema },
    responses: { 200: type },
    errors: ["NOT_FOUND"],
    async handle(call) {
      const { ticket } = call.params;
      await checkTicket(call, ticket);
      const body = await call.services.orchestrator.ticketParameters(ticket);
      return { status: 200, text: { type, body } };
    },
  }),
];

async function checkTicket(
  { services, checkAction }: Pick<AnyCall, "services" | "checkAction">,
  ticket: string,
): Promise<void> {
  const { action } = await services.orchestrator.readTicket(ticket);
  checkAction(action);
}

type CompleteBody = v.InferOutput<typeof schemas.completeSchema>;

function outcomeOf(call: Call<unknown, unknown, CompleteBody>): TaskOutcome {
  const { failure } = call.body;
  if (failure === undefined) return { ok: true, output: payloadText(call, ["output"], "null") };
  const { code = "WORKER_ERROR", retryable = true } = failure;
  // Stack traces end up here: a long one is cut rather than refused.
  const message = (failure.message ?? "").slice(0, limits.errorMessageCharsMax);
  if (!("details" in failure)) return { ok: false, failure: { code, message }, retryable };
  const text = payloadText(call, ["failure", "details"], "null", limits.errorDetailsBytesMax);
  return { ok: false, failure: { code, message, details: parseExact(text) }, retryable };
}

function refusalView(refusal: TicketRefusal): unknown {
  if (refusal.status !== "leased") return refusal;
  return { ...refusal, leaseUntil: moment(refusal.leaseUntil) };
}

function taskView({ about, ...task }: PolledTask): unknown {
  const { workflow, version, actionKey, name, attempt, item, ...more } = about;
  const { correlationId, traceContext, traceState, index } = more;
  return {
    token: task.token,
    executionId: task.key.id,
    workflow,
    workflowVersion: version,
    actionId: actionKey,
    action: name,
    attempt,
    leaseUntil: moment(task.leaseUntil),
    deadline: moment(task.deadline),
    heartbeatMs: task.heartbeatMs,
    correlationId,
    traceContext,
    traceState,
    index,
    item: item === undefined ? undefined : raw(item),
    parameters: raw(task.parameters),
  };
}
