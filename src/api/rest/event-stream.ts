/** Live changes of an execution as server-sent events. */
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { HistoryEntry } from "../../model/entry.ts";
import { asError } from "../../telemetry/log.ts";
import { toJsonText } from "./json.ts";
import type { Answer, Services, WaitingRequest } from "./route.ts";
import { entryView } from "./views.ts";

function refuse(): never {
  const message =
    `This key has ${limits.eventStreamsPerKeyMax} event streams open on this server, the most allowed; ` +
    "close one first.";
  throw new OrchyError("TOO_MANY", message);
}

/**
 * Each entry of the history beyond `after` is an event of type `entry`, with its sequence as id;
 * the last event is `end` with the final status.
 */
export async function eventStream(
  { id, after }: { readonly id: string; readonly after: number },
  services: Services,
  wait: () => WaitingRequest,
): Promise<Answer> {
  const { orchestrator, backlogs, clock, log } = services;
  // Checked first: once the stream has begun, its status can no longer be 404.
  await orchestrator.executionStatus(id);

  const waiting = wait();
  const forgetStream = backlogs.streams.open(waiting.keyId ?? "") ?? refuse();
  const encoder = new TextEncoder();
  const over = new AbortController();
  let stopBeats = () => {};
  let onTaken: (() => void) | undefined;
  const end = () => over.abort();
  let stream: ReadableStreamDefaultController<Uint8Array>;
  // A reader that does not keep up is let go, so that it costs a bounded amount of memory.
  const letGo = () => {
    stream.error(new Error("The client did not read the events in time."));
    end();
  };
  const untaken = backlogs.responses.open(letGo);
  const waitingBytes = () => -(stream.desiredSize ?? 0);

  function start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    stream = controller;
    function send(text: string): void {
      if (over.signal.aborted) return;
      stream.enqueue(encoder.encode(text));
      untaken.set(waitingBytes());
      if (waitingBytes() > limits.eventStreamBytesMax) letGo();
    }
    function event(type: string, data: unknown, sequence?: number): void {
      const name = sequence === undefined ? "" : `id: ${sequence}\n`;
      send(`${name}event: ${type}\ndata: ${toJsonText(data)}\n\n`);
    }
    function drained(): Promise<void> | undefined {
      if (waitingBytes() < limits.pacedResponseBytesMin) return;
      return new Promise((resolve) => {
        onTaken = resolve;
      });
    }
    function beat(): void {
      stopBeats = clock.after(limits.eventStreamBeatMs, () => {
        send(": still here\n\n");
        beat();
      });
    }
    async function follow(): Promise<void> {
      const listener = (entry: HistoryEntry) => event("entry", entryView(entry), entry.sequence);
      await orchestrator.watch({ id, after, listener, drained, abort: over.signal });
      if (over.signal.aborted) return;
      const status = await orchestrator.executionStatus(id);
      event("end", { id, status });
    }

    const forget = () => {
      stopBeats();
      onTaken?.();
      untaken.close();
      forgetStream();
    };
    over.signal.addEventListener("abort", forget, { once: true });
    waiting.signal.addEventListener("abort", end, { once: true });
    if (waiting.signal.aborted) end();
    // The first bytes show the caller that the stream is open.
    send(": open\n\n");
    beat();
    follow()
      .catch((error: unknown) => {
        // Removed meanwhile: the stream ends, as the execution did.
        if (error instanceof OrchyError) return;
        log.error("an event stream failed", { id, error: asError(error) });
      })
      .finally(() => {
        end();
        waiting.release();
        try {
          stream.close();
        } catch {
          // The caller has closed it already.
        }
      });
  }

  const strategy = new ByteLengthQueuingStrategy({ highWaterMark: 0 });
  const pull = () => {
    untaken.set(waitingBytes());
    // In a separate turn, as for other large answers: see paced.ts.
    if (onTaken !== undefined) setImmediate(onTaken);
    onTaken = undefined;
  };
  const body = new ReadableStream({ start, pull, cancel: end }, strategy);
  return { status: 200, text: { type: "text/event-stream", body } };
}
