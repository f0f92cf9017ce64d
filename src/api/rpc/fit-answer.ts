/**
 * A poll's answer closes at limits.pollResponseBytesMax, below the 4 MiB that gRPC clients accept by
 * default. The orchestrator counts text; how large a task becomes is known only here. In JSON one
 * task may be larger. Tasks that fit no Struct go only to callers that take JSON; servers of format
 * 2 do not separate them, and of theirs each that is too deep has an answer alone here, and one
 * that is too large fails.
 */
import { OrchyError } from "../../base/errors.ts";
import { isTooDeep } from "../../base/json-shape.ts";
import { limits } from "../../base/limits.ts";
import { mostTaskBytes } from "../../language/data/struct-form.ts";
import { unfitOutcome } from "../../runtime/dispatch/uncarried.ts";
import type { Orchestrator } from "../../runtime/shared/orchestrator.ts";
import type { PolledTask } from "../../runtime/shared/polled-task.ts";
import type { CallContext } from "./call.ts";

/** Tag and length of a task in the answer. */
const frameBytes = 6;

interface FitRequest<Message> {
  readonly orchestrator: Orchestrator;
  readonly call: CallContext;
  readonly tasks: readonly PolledTask[];
  readonly workerId: string;
  readonly translate: (task: PolledTask) => Message;
  readonly encodedBytes: (message: Message) => number;
  /** As in the poll. */
  readonly structOnly: boolean;
  /** What else the answer carries. */
  readonly otherBytes: number;
}

/** Translates what fits; releases what does not; fails what would not fit even alone. */
export async function fitAnswer<Message>(request: FitRequest<Message>): Promise<Message[]> {
  try {
    if (request.call.signal.aborted)
      throw new OrchyError("UNAVAILABLE", "The caller has disconnected.");
    await request.call.stillAdmitted();
    return await fit(request);
  } catch (error) {
    // No caller gets these leases: others can have the tasks at once, with no attempt burnt.
    const tokens = request.tasks.map(({ token }) => token);
    if (tokens.length > 0) await request.orchestrator.release(tokens).catch(() => []);
    throw error;
  }
}

async function fit<Message>(request: FitRequest<Message>): Promise<Message[]> {
  const { orchestrator, structOnly, translate } = request;
  const tasks = await aloneIfTooDeep(request);
  const roomBytes = limits.pollResponseBytesMax - request.otherBytes;
  const mostBytes = tasks.reduce((sum, task) => sum + mostTaskBytes(task), 0);
  if (mostBytes <= roomBytes) return tasks.map(translate);

  const carried: Message[] = [];
  const surplus: string[] = [];
  const impossible: PolledTask[] = [];
  let usedBytes = 0;
  for (const task of tasks) {
    const message = translate(task);
    const bytes = request.encodedBytes(message) + frameBytes;
    if (bytes > limits.pollResponseBytesMax && structOnly) impossible.push(task);
    else if (usedBytes + bytes > roomBytes && carried.length > 0) surplus.push(task.token);
    else {
      carried.push(message);
      usedBytes += bytes;
    }
  }
  if (surplus.length > 0) await orchestrator.release(surplus);
  if (impossible.length > 0) {
    const results = impossible.map(({ token, parameters }) => {
      return { token, outcome: unfitOutcome(parameters) };
    });
    await orchestrator.complete(results, request.workerId);
  }
  return carried;
}

/**
 * Many clients of protobuf decode 100 nested messages and no more. With one task that is deeper the
 * whole answer is lost to them: the others are released, so that no attempt of theirs is burnt.
 */
async function aloneIfTooDeep<Message>(
  request: FitRequest<Message>,
): Promise<readonly PolledTask[]> {
  const { orchestrator, structOnly, tasks } = request;
  if (!structOnly || tasks.length === 1) return tasks;
  const deep = tasks.find(({ parameters }) => isTooDeep(parameters, limits.structDepthMax));
  if (deep === undefined) return tasks;
  await orchestrator.release(tasks.filter((task) => task !== deep).map(({ token }) => token));
  return [deep];
}
