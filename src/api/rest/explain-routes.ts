/** Why executions and queues are where they are, over `/v1`. */
import type { QueueReport, Reason } from "../../runtime/shared/explanation.ts";
import * as requests from "../schemas.ts";
import * as responses from "./explanation-schemas.ts";
import { moment } from "./json.ts";
import { type Route, route } from "./route.ts";
import { failureView } from "./views.ts";

export const explainRoutes: readonly Route[] = [
  route("GET /v1/executions/{id}/explain", {
    id: "explainExecution",
    tag: "Executions",
    summary: "What an execution waits for, and what would move it",
    description:
      "One reason for each open action, and for what holds the whole execution: a closed list of kinds, " +
      "each with a sentence. It tells a queue without workers from one whose workers are busy.",
    params: { id: requests.executionIdSchema },
    responses: { 200: responses.executionExplanationSchema },
    errors: ["NOT_FOUND", "DELETED"],
    async handle({ params, services, signal }) {
      const explained = await services.orchestrator.explainExecution(params.id, signal);
      const { timeoutAt, reasons, ...about } = explained;
      const json = { ...about, timeoutAt: moment(timeoutAt), reasons: reasons.map(reasonView) };
      return { status: 200, json };
    },
  }),
  route("GET /v1/queues/{queue}/explain", {
    id: "explainQueue",
    tag: "Actions",
    summary: "Why the tasks of a queue are, or are not, under way",
    description:
      "For each action with tasks in the queue: how many wait and run, which workers poll for them, and a sentence.",
    params: { queue: requests.nameSchema },
    responses: { 200: responses.queueExplanationSchema },
    async handle({ params, services, signal }) {
      const { queue, actions, leftOut } = await services.orchestrator.explainQueue(
        params.queue,
        signal,
      );
      const items = actions.map(({ kind, sentence, ...report }) => {
        const { queue: _same, ...shown } = queueReportView(report);
        return { kind, sentence, ...shown };
      });
      return { status: 200, json: { queue, actions: items, leftOut: leftOut || undefined } };
    },
  }),
];

function queueReportView({ oldestAt, silentServers, ...report }: QueueReport) {
  return {
    ...report,
    oldestWaitingAt: moment(oldestAt),
    silentServers: silentServers === 0 ? undefined : silentServers,
  };
}

function reasonView(reason: Reason): unknown {
  const { kind, sentence, action, since, until, queue, failure, ...details } = reason;
  return {
    kind,
    sentence,
    action,
    since: moment(since),
    until: moment(until),
    ...details,
    error: failureView(failure),
    queue: queue && queueReportView(queue),
  };
}
