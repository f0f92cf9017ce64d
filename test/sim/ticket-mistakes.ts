/** Mistakes about tickets, made on purpose, which the simulation with consumers finds. */
import { parkedTicket } from "../../src/runtime/shared/parked-tickets.ts";
import { changingCommits, leaseOf, replaced } from "./mistakes.ts";
import type { Mistake } from "./simulation.ts";

export const ticketMistakes: readonly Mistake[] = [
  {
    name: "a ticket that the broker has not taken is lost",
    wrapLine: (line) =>
      replaced(line, {
        putDocument: async (request) =>
          request.kind === parkedTicket.kind
            ? { outcome: "saved", version: 1 }
            : await line.putDocument(request),
      }),
  },
  {
    name: "a ticket ends a task that another worker has claimed",
    wrapStore: (store) =>
      changingCommits(store, (request, holdings) => ({
        ...request,
        settle: request.settle.map(({ taskId, token }) => {
          return { taskId, token: token ?? leaseOf(holdings, taskId)?.token ?? null };
        }),
      })),
  },
  {
    name: "a claim by ticket does not look whether the task is leased",
    wrapStore: (store) =>
      replaced(store, {
        claimTask: async (request) => {
          const { tasks } = await store.holdings(request.key);
          const token = leaseOf({ tasks, timers: [], messages: [] }, request.taskId)?.token;
          const { key, taskId, now } = request;
          const release = {
            partition: key.partition,
            now,
            tasks: [{ key, taskId, token: token! }],
          };
          if (token !== undefined) await store.releaseTasks(release);
          return await store.claimTask(request);
        },
      }),
  },
];
