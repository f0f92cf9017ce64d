/**
 * orchy.v1.WorkerService: translates between its messages and the orchestrator, and enforces the
 * limits of the edge. The same functions serve Connect, gRPC-Web and gRPC.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { OrchyError, type Problem } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import {
  type ActionDefinition,
  CompleteResponseSchema,
  type HeartbeatItem,
  HeartbeatResponseSchema,
  HeartbeatStatus,
  PayloadFormat,
  type PollRequest,
  type PollResponse,
  PollResponseSchema,
  RegisterActionsResponseSchema,
  ReleaseResponseSchema,
  ReleaseStatus,
  type Task,
  TaskSchema,
  type WorkerService,
} from "../../gen/orchy/v1/worker_pb.ts";
import { actionNameForm, isPolledAction, isQueueName, queueNameForm } from "../../model/names.ts";
import type { HeartbeatSent, Orchestrator } from "../../runtime/shared/orchestrator.ts";
import type { PolledTask } from "../../runtime/shared/polled-task.ts";
import { type Access, deniedAction, mayTouch } from "../access.ts";
import type { Audit } from "../audit.ts";
import type { Caller } from "../caller.ts";
import type { CallContext, UnaryMethods } from "./call.ts";
import { encodedBytes } from "./encode.ts";
import { fitAnswer } from "./fit-answer.ts";
import { checkValue, parseForStruct } from "./payload.ts";
import { checkResults } from "./worker-results.ts";

interface WorkerServiceOptions {
  readonly access: Access;
  readonly orchestrator: Orchestrator;
  readonly audit: Audit;
}

export function createWorkerService(
  options: WorkerServiceOptions,
): UnaryMethods<typeof WorkerService> {
  const { orchestrator, access } = options;
  return {
    async registerActions(request, call) {
      const { actions, workerId } = request;
      checkCount("actions", actions.length, limits.registeredActionsPerCallMax);
      checkWorkerId(workerId);
      const names = actions.map(({ name }) => name);
      access.checkActions(call.caller, names);
      await registerActions(options, actions, call.caller);
      return create(RegisterActionsResponseSchema);
    },

    poll: (request, call) => poll(options, request, call),

    async complete({ results, workerId }, call) {
      checkCount("results", results.length, limits.resultsPerCallMax);
      checkWorkerId(workerId);
      const checked = await checkResults(results, await deniedTokens(orchestrator, call, results));
      const answers =
        checked.sent.length > 0 ? await orchestrator.complete(checked.sent, workerId) : [];
      return create(CompleteResponseSchema, { results: checked.answer(answers) });
    },

    async heartbeat({ tasks, workerId }, call) {
      checkCount("tasks", tasks.length, limits.heartbeatsPerCallMax);
      checkWorkerId(workerId);
      const denied = await deniedTokens(orchestrator, call, tasks);
      const beats = tasks.map((task) => (denied.has(task.token) ? { token: "" } : toBeat(task)));
      const answers = await orchestrator.heartbeat(beats);
      return create(HeartbeatResponseSchema, {
        statuses: answers.map((answer) => heartbeatStatuses[answer]),
      });
    },

    async release({ tokens, workerId }, call) {
      checkCount("tokens", tokens.length, limits.releasesPerCallMax);
      checkWorkerId(workerId);
      const sent = tokens.map((token) => ({ token }));
      const denied = await deniedTokens(orchestrator, call, sent);
      const own = tokens.map((token) => (denied.has(token) ? "" : token));
      const answers = await orchestrator.release(own);
      return create(ReleaseResponseSchema, {
        statuses: answers.map((answer) => releaseStatuses[answer]),
      });
    },
  };
}

const nothingDenied: ReadonlyMap<string, string> = new Map();

/**
 * For a key that names actions: the tokens of tasks of other actions, and why. They cannot have
 * come from a poll with this key. Any other caller costs nothing here.
 */
async function deniedTokens(
  orchestrator: Orchestrator,
  { caller }: { readonly caller: Caller },
  sent: readonly { readonly token: string }[],
): Promise<ReadonlyMap<string, string>> {
  if (caller.key?.actions === undefined || sent.length === 0) return nothingDenied;
  const denied = new Map<string, string>();
  const names = await orchestrator.actionNames(sent.map(({ token }) => token));
  for (const [index, { token }] of sent.entries()) {
    const name = names[index];
    if (name !== undefined && !mayTouch(caller, name)) {
      denied.set(token, deniedAction(caller, name));
    }
  }
  return denied;
}

/** Whatever is in its progress, a heartbeat must never cost a lease: what is wrong is left out. */
function toBeat({ token, progress }: HeartbeatItem): HeartbeatSent {
  if (progress === undefined) return { token };
  const checked = checkValue(progress, limits.progressBytesMax);
  return checked.ok ? { token, progress: checked.text } : { token };
}

const heartbeatStatuses = {
  extended: HeartbeatStatus.EXTENDED,
  stale: HeartbeatStatus.STALE,
  cancelled: HeartbeatStatus.CANCELLED,
} as const;

const releaseStatuses = {
  released: ReleaseStatus.RELEASED,
  stale: ReleaseStatus.STALE,
} as const;

/** Saves what can be saved; the problems of all the others are reported at once. */
async function registerActions(
  { orchestrator, audit }: WorkerServiceOptions,
  actions: readonly ActionDefinition[],
  caller: Caller,
): Promise<void> {
  const problems: Problem[] = [];
  for (const [index, { $typeName, $unknown, nonRetryable, ...set }] of actions.entries()) {
    const definition = nonRetryable.length > 0 ? { ...set, nonRetryable } : set;
    try {
      const { changed } = await orchestrator.saveAction(definition, {
        lenient: false,
        byWorker: true,
      });
      // Workers register the same at each start.
      if (changed) audit.changed(caller, "action saved", set.name);
    } catch (error) {
      if (!(error instanceof OrchyError) || !refusals.has(error.code)) throw error;
      const whole = { pointer: "", message: error.message };
      const details = error.details.length > 0 ? error.details : [whole];
      for (const { pointer, message } of details) {
        problems.push({ pointer: `/actions/${index}${pointer}`, message });
      }
    }
  }
  if (problems.length > 0) {
    throw new OrchyError("INVALID_ARGUMENT", "Some action definitions are invalid.", problems);
  }
}

const refusals: ReadonlySet<string> = new Set(["INVALID_ARGUMENT", "DEFINITION_REFUSED"]);

async function poll(
  { orchestrator, access }: WorkerServiceOptions,
  request: PollRequest,
  call: CallContext,
): Promise<PollResponse> {
  checkPoll(request);
  access.checkActions(call.caller, request.actions);
  const { workerId } = request;
  const denied = await deniedTokens(orchestrator, call, request.results);
  const checked = await checkResults(request.results, denied);
  if (request.actions.length === 0) {
    const answers =
      checked.sent.length > 0 ? await orchestrator.complete(checked.sent, workerId) : [];
    return create(PollResponseSchema, { results: checked.answer(answers) });
  }

  const structOnly = request.payloadFormat !== PayloadFormat.JSON && !call.json;
  const answer = await orchestrator.poll({
    actions: [...new Set(request.actions)],
    queues: request.queues.length > 0 ? [...new Set(request.queues)] : ["default"],
    maxTasks: request.maxTasks === 0 ? 1 : request.maxTasks,
    // A result that was not accepted is reported at once.
    waitMs: checked.anyInvalid ? 0 : waitMs(request.waitSeconds, call),
    workerId,
    heartbeats: request.heartbeats,
    ...(request.leaseSeconds > 0 && { leaseMs: Math.round(request.leaseSeconds * 1000) }),
    structOnly,
    results: checked.sent,
    abort: call.signal,
  });
  const results = checked.answer(answer.results);
  const response = create(PollResponseSchema, {
    results,
    draining: answer.draining,
    cancelled: [...answer.cancelled],
  });
  response.tasks = await fitAnswer({
    orchestrator,
    call,
    tasks: answer.tasks,
    workerId,
    translate: (task) => toTask(task, request.payloadFormat, call),
    encodedBytes: (task) => encodedBytes(TaskSchema, task, call),
    structOnly,
    otherBytes:
      results.length + answer.cancelled.length === 0
        ? 0
        : toBinary(PollResponseSchema, response).length,
  });
  return response;
}

/** Ends ahead of the caller's deadline: an empty answer is better than a cut call. */
function waitMs(waitSeconds: number, call: CallContext): number {
  const wanted = waitSeconds * 1000;
  return call.timeoutMs === undefined ? wanted : Math.min(wanted, call.timeoutMs * 0.9);
}

function toTask(task: PolledTask, format: PayloadFormat, call: CallContext): Task {
  const { about } = task;
  const message = create(TaskSchema);
  message.token = task.token;
  message.executionId = task.key.id;
  message.workflow = about.workflow;
  message.workflowVersion = about.version;
  message.actionId = about.actionKey;
  message.action = about.name;
  message.attempt = about.attempt;
  message.deadlineMs = BigInt(task.deadline);
  message.heartbeatMs = BigInt(task.heartbeatMs);
  message.correlationId = about.correlationId ?? "";
  message.traceContext = about.traceContext ?? "";
  message.traceState = about.traceState ?? "";
  if (about.index !== undefined) message.index = about.index;
  if (about.item !== undefined) message.itemJson = utf8.encode(about.item);
  if (about.parent !== undefined) {
    message.parentExecutionId = about.parent.id;
    message.parentActionId = about.parent.action;
    if (about.parent.item !== undefined) message.parentIndex = about.parent.item;
  }
  if (format === PayloadFormat.JSON) message.parametersJson = utf8.encode(task.parameters);
  else message.parameters = parseForStruct(task.parameters, call);
  return message;
}

const utf8 = new TextEncoder();

function checkPoll(request: PollRequest): void {
  const { actions, queues, maxTasks, waitSeconds, leaseSeconds, results } = request;
  checkCount("actions", actions.length, limits.pollActionsMax);
  checkCount("queues", queues.length, limits.pollQueuesMax);
  checkNames("actions", actions, isPolledAction, actionNameForm);
  // A slash in one would make it the beginning of another queue and another action.
  checkNames("queues", queues, isQueueName, queueNameForm);
  const pairs = Math.max(1, queues.length) * actions.length;
  if (pairs > limits.pollPairsMax) {
    const product = `${queues.length} queues with ${actions.length} actions are ${pairs} pairs`;
    throw invalid("/queues", `${product}; at most ${limits.pollPairsMax} fit: use several polls`);
  }
  checkCount("results", results.length, limits.resultsPerCallMax);
  checkWorkerId(request.workerId);
  if (actions.length === 0 && results.length === 0) {
    throw invalid("/actions", "must name at least one action, as the call carries no results");
  }
  if (maxTasks < 0 || maxTasks > limits.pollTasksMax) {
    throw invalid("/maxTasks", `is ${maxTasks}; it must be 0 (one task) to ${limits.pollTasksMax}`);
  }
  // Written so that NaN is refused too.
  if (!(waitSeconds >= 0 && waitSeconds <= limits.pollWaitSecondsMax)) {
    const range = `0 to ${limits.pollWaitSecondsMax}`;
    throw invalid("/waitSeconds", `is ${waitSeconds}; it must be ${range}`);
  }
  const { leaseSecondsMin, leaseSecondsMax } = limits;
  const isLease = leaseSeconds >= leaseSecondsMin && leaseSeconds <= leaseSecondsMax;
  if (leaseSeconds !== 0 && !isLease) {
    const range = `0 (as long as the attempt), or ${leaseSecondsMin} to ${leaseSecondsMax}`;
    throw invalid("/leaseSeconds", `is ${leaseSeconds}; it must be ${range}`);
  }
  if (!(request.payloadFormat in payloadFormats)) {
    throw invalid("/payloadFormat", `is ${request.payloadFormat}, which is not a known format`);
  }
}

const payloadFormats: Readonly<Record<number, true>> = {
  [PayloadFormat.UNSPECIFIED]: true,
  [PayloadFormat.STRUCT]: true,
  [PayloadFormat.JSON]: true,
};

function checkNames(
  field: string,
  names: readonly string[],
  fits: (name: string) => boolean,
  form: string,
): void {
  const wrong = names.findIndex((name) => !fits(name));
  if (wrong >= 0) throw invalid(`/${field}/${wrong}`, `must be ${form}`);
}

function checkCount(field: string, count: number, countMax: number): void {
  if (count > countMax) throw invalid(`/${field}`, `has ${count} items; at most ${countMax} fit`);
}

function checkWorkerId(workerId: string): void {
  if (workerId.length > limits.workerIdCharsMax) {
    throw invalid("/workerId", `is longer than ${limits.workerIdCharsMax} characters`);
  }
}

function invalid(pointer: string, message: string): OrchyError {
  return new OrchyError("INVALID_ARGUMENT", "The request is invalid.", [{ pointer, message }]);
}
