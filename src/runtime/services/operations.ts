/** Acting on executions: signals, and operations by hand. */
import type { Clock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { OrchyError, unreachable } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { canonicalJson } from "../../model/canonical.ts";
import type { ByHand, Cause, OperationRequest } from "../../model/event.ts";
import type { ExecutionStatus } from "../../model/execution.ts";
import { executionKey } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Store } from "../../store/store.ts";
import type { Driver } from "../driving/driver.ts";
import type { SubmitAnswer } from "../driving/mailbox.ts";
import { causeOf } from "../shared/hash.ts";
import type { Orchestrator, SignalAnswer, SignalledExecution } from "../shared/orchestrator.ts";
import type { CorrelatedSignals } from "./correlated-signals.ts";
import { type Executions, gone, notFound } from "./executions.ts";
import { refusalError, unreadError } from "./refusals.ts";

interface Options {
  readonly store: Store;
  readonly clock: Clock;
  readonly driver: Driver;
  readonly executions: Pick<Executions, "status">;
  readonly correlated: Pick<CorrelatedSignals, "send">;
}

export class Operations {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  async signal(request: Parameters<Orchestrator["signal"]>[0]): Promise<SignalAnswer> {
    await this.#mustBelong(request.id, request.workflow);
    const { event, payload, signalId } = request;
    const answer = await this.#options.driver.submit(request.id, {
      type: "signal",
      event,
      payload,
      ...defined({
        cause:
          signalId === undefined
            ? undefined
            : causeOf("signal", signalId, { scope: event, body: payload }),
      }),
    });
    const reused =
      "This signalId was used before for another payload of this event. Use a new one for each signal.";
    const outcome = await this.#accepted(request.id, answer, reused);
    if (answer.type !== "accepted") return { outcome };
    const { buffered } = answer;
    return buffered === undefined
      ? { outcome, delivery: "delivered" }
      : { outcome, delivery: "buffered", ...buffered };
  }

  async signalAll(
    request: Parameters<Orchestrator["signalAll"]>[0],
  ): Promise<readonly SignalledExecution[]> {
    const { correlationId, event, payload, signalId } = request;
    const letter = { correlationId, event, payload };
    const { sent, refusal } = await this.#options.correlated.send(
      signalId === undefined
        ? letter
        : {
            ...letter,
            cause: causeOf("signal", signalId, { scope: event, body: payload }),
            firstSentAt: this.#options.clock.now() - limits.causeSeconds * 1000,
          },
    );
    if (refusal !== undefined) throw new OrchyError(refusal.code, refusal.message);
    return sent.map(({ isRepeated, outcome, ...rest }) => {
      return { ...rest, outcome: isRepeated ? "duplicate" : outcome };
    });
  }

  async operate(request: Parameters<Orchestrator["operate"]>[0]): Promise<ExecutionStatus> {
    const { id, workflow, operationId, ...asked } = request;
    await this.#mustBelong(id, workflow);
    const cause = operationId === undefined ? undefined : operationCause(operationId, asked);
    const answer = await this.#options.driver.submit(id, {
      type: "operation",
      ...asked,
      ...defined({ cause }),
    });
    const reused =
      "This operationId was used before with another body. Use a new one for each operation.";
    await this.#accepted(id, answer, reused);
    return this.#options.executions.status(id);
  }

  async #accepted(
    id: string,
    answer: SubmitAnswer,
    reused: string,
  ): Promise<"accepted" | "duplicate"> {
    const key = executionKey(id, this.#options.store.partitions);
    switch (answer.type) {
      case "accepted":
      case "duplicate":
        return answer.type;
      case "stale":
        return "duplicate";
      case "reused":
        throw new OrchyError("CONFLICT", reused);
      case "invalid-state":
      case "no-action":
      case "refused":
        throw refusalError(answer, await this.#options.executions.status(id));
      case "too-many":
        throw new OrchyError("TOO_MANY", answer.message);
      case "unread":
        throw unreadError();
      case "not-found":
        throw notFound(key);
      case "gone":
        throw gone(key);
      default:
        return unreachable(answer);
    }
  }

  /** The legacy routes name the workflow as well. */
  async #mustBelong(id: string, workflow: string | undefined): Promise<void> {
    if (workflow === undefined) return;
    const key = executionKey(id, this.#options.store.partitions);
    const loaded = await this.#options.store.load({ key, fields: [] });
    if (loaded.outcome === "tombstone") throw gone(key);
    if (loaded.outcome === "not_found" || JSON.parse(loaded.state).workflow !== workflow) {
      throw new OrchyError("NOT_FOUND", `There is no execution ${id} of the workflow ${workflow}.`);
    }
  }
}

/** What it asks for, whoever asks and however payloads are written. A reason alone is the body. */
function operationCause(id: string, asked: OperationRequest & ByHand): Cause {
  const { operation, reason = null, who: _who, ...more } = asked;
  const body = Object.keys(more).length === 0 ? reason : { ...inValues(more), reason };
  return causeOf("operation", id, { scope: operation, body: JSON.stringify(body) });
}

/** Payloads are texts here: of all spellings of a value, one stands for them. */
function inValues<Asked extends object>(asked: Asked): Asked {
  const { output, parameters }: { output?: JsonText; parameters?: JsonText } = asked;
  return {
    ...asked,
    ...defined({
      output: output === undefined ? undefined : canonicalJson(output),
      parameters: parameters === undefined ? undefined : canonicalJson(parameters),
    }),
  };
}
