/**
 * The legacy worker wire: TaskService and ActionService, alike but for names. Their workers poll
 * on a ticker, carry no token (the hand-out number fences their results), and send no heartbeats.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Value } from "@bufbuild/protobuf/wkt";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import {
  Action_Type,
  ActionResult_Status,
  ActionSchema,
  type ActionService,
  ActionsSchema,
} from "../../gen/legacy/action_service_pb.ts";
import {
  EmptyRequestSchema,
  GetServersResponseSchema,
  StatusResponseSchema,
} from "../../gen/legacy/common_pb.ts";
import {
  type Task,
  TaskResult_Status,
  TaskSchema,
  type TaskService,
  type Tasks,
  TasksSchema,
} from "../../gen/legacy/task_service_pb.ts";
import type { TaskOutcome } from "../../model/event.ts";
import { actionNameForm, isPolledAction } from "../../model/names.ts";
import { parseExact } from "../../model/numbers.ts";
import type { Orchestrator, ServerView } from "../../runtime/shared/orchestrator.ts";
import type { PolledTask } from "../../runtime/shared/polled-task.ts";
import type { Access } from "../access.ts";
import type { Audit } from "../audit.ts";
import type { Caller } from "../caller.ts";
import type { CallContext, UnaryMethods } from "./call.ts";
import { encodedBytes } from "./encode.ts";
import { fitAnswer } from "./fit-answer.ts";
import { notedNumber } from "./json-notes.ts";
import { checkFields, parseForStruct, toValues } from "./payload.ts";

export interface LegacyOptions {
  readonly orchestrator: Orchestrator;
  readonly access: Access;
  readonly audit: Audit;
  /** Where workers reach a server; undefined: they do not. */
  readonly reachedAt: (server: ServerView) => string | undefined;
}

export function createTaskService(options: LegacyOptions): UnaryMethods<typeof TaskService> {
  const { orchestrator, access } = options;
  return {
    async saveTaskDef(definition, call) {
      return save(options, definition, call.caller);
    },
    async poll({ taskType, batchSize }, call) {
      access.checkActions(call.caller, [taskType]);
      const tasks = await poll({
        orchestrator,
        call,
        name: taskType,
        batchSize,
        translate: (task) =>
          create(TaskSchema, { ...toFields(task, call), taskName: task.about.name }),
        encodedBytes: (task) => encodedBytes(TaskSchema, task, call),
      });
      return batchSize === 0 && !call.json ? asOneTask(tasks[0]!) : create(TasksSchema, { tasks });
    },
    async push(result, call) {
      const failed = result.status === TaskResult_Status.FAIL;
      return push(options, { ...result, failed }, call);
    },
    async getServers() {
      return getServers(options);
    },
  };
}

/**
 * Clients from before October 2022 read one Task where Tasks stands, and send no batch size, which all
 * later ones do. To Tasks the fields of a Task are unknown, and it is written with them as they are.
 */
function asOneTask(task: Task): Tasks {
  const { $unknown } = fromBinary(EmptyRequestSchema, toBinary(TaskSchema, task));
  return { ...create(TasksSchema), $unknown: $unknown! };
}

export function createActionService(options: LegacyOptions): UnaryMethods<typeof ActionService> {
  const { orchestrator, access } = options;
  return {
    async saveActionDefinition(definition, call) {
      return save(options, definition, call.caller);
    },
    async poll({ actionType, batchSize }, call) {
      access.checkActions(call.caller, [actionType]);
      const type = Action_Type.USER;
      const actions = await poll({
        orchestrator,
        call,
        name: actionType,
        batchSize,
        translate: (task) =>
          create(ActionSchema, { ...toFields(task, call), actionName: task.about.name, type }),
        encodedBytes: (action) => encodedBytes(ActionSchema, action, call),
      });
      return create(ActionsSchema, { actions });
    },
    async push(result, call) {
      const failed = result.status === ActionResult_Status.FAIL;
      return push(options, { ...result, failed }, call);
    },
    async getServers() {
      return getServers(options);
    },
  };
}

interface Definition {
  readonly name: string;
  readonly retryCount: number;
  readonly retryAfterSeconds: number;
  readonly retryPolicy: string;
  readonly timeoutSeconds: number;
}

async function save(options: LegacyOptions, sent: Definition, caller: Caller) {
  const { orchestrator, access, audit } = options;
  access.checkActions(caller, [sent.name]);
  const { name, retryCount, retryAfterSeconds, retryPolicy, timeoutSeconds } = sent;
  // Absent and zero are one on this wire: no retries is a choice, no time at all is none.
  const definition = {
    name,
    retryCount,
    retryAfterSeconds,
    ...(retryPolicy === "" ? {} : { retryPolicy }),
    ...(timeoutSeconds === 0 ? {} : { timeoutSeconds }),
  };
  const { changed } = await orchestrator.saveAction(definition, { lenient: true, byWorker: true });
  if (changed) audit.changed(caller, "action saved", name);
  return create(StatusResponseSchema, { status: true });
}

interface PollCall<Message> {
  readonly orchestrator: Orchestrator;
  readonly call: CallContext;
  readonly name: string;
  readonly batchSize: number;
  readonly translate: (task: PolledTask) => Message;
  readonly encodedBytes: (message: Message) => number;
}

async function poll<Message>(request: PollCall<Message>): Promise<Message[]> {
  const { orchestrator, call, name, batchSize, translate, encodedBytes } = request;
  if (!isPolledAction(name)) {
    throw new OrchyError("INVALID_ARGUMENT", `The name must be ${actionNameForm}.`);
  }
  const workerId = workerIdOf(call);
  const structOnly = !call.json;
  const { tasks } = await orchestrator.poll({
    actions: [name],
    queues: ["default"],
    maxTasks: Math.min(Math.max(batchSize, 1), limits.pollTasksMax),
    waitMs: 0,
    workerId,
    heartbeats: false,
    structOnly,
    results: [],
    abort: call.signal,
  });
  const fit = {
    orchestrator,
    call,
    tasks,
    workerId,
    translate,
    encodedBytes,
    structOnly,
    otherBytes: 0,
  };
  const carried = await fitAnswer(fit);
  if (carried.length === 0) throw new OrchyError("NOT_FOUND", `No task of ${name} is waiting.`);
  return carried;
}

function workerIdOf(call: CallContext): string {
  return `original@${call.peer().address ?? "unknown"}`;
}

function toFields(task: PolledTask, call: CallContext) {
  return {
    workflowName: task.about.workflow,
    flowId: task.key.id,
    data: toValues(parseForStruct(task.parameters, call)),
    actionId: task.about.actionNumber,
    retryCount: task.about.handout,
  };
}

interface Result {
  readonly workflowName: string;
  readonly flowId: string;
  readonly actionId: number;
  readonly retryCount: number;
  readonly failed: boolean;
  readonly data: Readonly<Record<string, Value>>;
}

async function push({ orchestrator, access }: LegacyOptions, result: Result, call: CallContext) {
  const { workflowName, flowId, actionId, retryCount } = result;
  if (flowId === "" || flowId.length > limits.executionIdCharsMax) {
    const message = `flowId must have 1 to ${limits.executionIdCharsMax} characters.`;
    throw new OrchyError("INVALID_ARGUMENT", message);
  }
  const answer = await orchestrator.completeByHandout({
    executionId: flowId,
    workflow: workflowName,
    handout: retryCount,
    // Absent and zero are one on this wire, so zero does not name an action.
    ...(actionId === 0 ? {} : { actionNumber: actionId }),
    outcome: toOutcome(result),
    workerId: workerIdOf(call),
    admit: (action) => access.checkActions(call.caller, [action]),
  });
  if (answer === "retry") {
    throw new OrchyError("UNAVAILABLE", "The result could not be stored now; send it again.");
  }
  return create(StatusResponseSchema, { status: answer !== "stale" });
}

function toOutcome({ data, failed }: Result): TaskOutcome {
  const checked = checkFields(data, limits.payloadBytesMax);
  if (!checked.ok) throw new OrchyError("INVALID_ARGUMENT", `data ${checked.message}`);
  if (!failed) return { ok: true, output: checked.text };
  const said = [data.error, data.message].map((value) => value?.kind.value);
  const message = said.find(isText);
  const details = checked.text.length <= limits.errorDetailsBytesMax && checked.text !== "{}";
  return {
    ok: false,
    failure: {
      code: "WORKER_ERROR",
      message: (message ?? "The worker reported a failure without a message.").slice(
        0,
        limits.errorMessageCharsMax,
      ),
      ...(details ? { details: parseExact(checked.text) } : {}),
    },
    retryable: true,
  };
}

/** A number that is noted as text is none. */
function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "" && notedNumber(value) === undefined;
}

async function getServers({ orchestrator, reachedAt }: LegacyOptions) {
  const all = await orchestrator.servers();
  const servers = all.flatMap((server) => {
    const rpcAddr = reachedAt(server);
    return rpcAddr === undefined ? [] : [{ id: server.id, rpcAddr }];
  });
  // Clients dial what this says and nothing else: an empty list would leave them without a server.
  if (servers.length === 0) throw new OrchyError("UNAVAILABLE", "No server is known yet.");
  return create(GetServersResponseSchema, { servers });
}
