/**
 * A small orchestrator in memory: enough of tasks, leases and results for the RPC edge to be tested
 * before the runtime is wired to it. It keeps rules simple: one queue per action name.
 */
import { OrchyError } from "../../../src/errors.ts";
import { formatTaskId, formatToken } from "../../../src/model/ids.ts";
import type {
  HandoutResult,
  Orchestrator,
  PollAnswer,
  PolledTask,
  PollRequest,
  ResultAnswerType,
  ResultSent,
} from "../../../src/runtime/orchestrator.ts";

export interface Desk extends Orchestrator {
  readonly saved: unknown[];
  readonly settled: Map<string, ResultSent["outcome"]>;
  readonly leased: Map<string, PolledTask>;
  readonly released: string[];
  ready: boolean;
  draining: boolean;
  /** Thrown by the next poll. */
  fault: Error | undefined;
  /** Called when a poll begins to wait. */
  onParked: () => void;
  /** Called when a parked poll's caller has gone. */
  onAborted: () => void;
  waiting: number;
  lastPoll: PollRequest | undefined;
  add(name: string, parameters: string, options?: { actionId?: number | string }): void;
  endPolls(): void;
}

export function createDesk(): Desk {
  const queued: PolledTask[] = [];
  const wakers = new Set<() => void>();
  let handout = 0;

  function take(request: PollRequest): PolledTask[] {
    const taken: PolledTask[] = [];
    for (let i = 0; i < queued.length && taken.length < request.maxTasks; ) {
      const task = queued[i]!;
      if (request.actions.includes(task.name)) taken.push(...queued.splice(i, 1));
      else i++;
    }
    for (const task of taken) desk.leased.set(task.token, task);
    return taken;
  }

  function settle({ token, outcome }: ResultSent): ResultAnswerType {
    if (desk.settled.has(token)) return "duplicate";
    if (!desk.leased.delete(token)) return "stale";
    desk.settled.set(token, outcome);
    return "accepted";
  }

  function park(request: PollRequest): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(handle);
        if (wakers.delete(end)) desk.waiting--;
        resolve();
      };
      const handle = setTimeout(end, request.waitMs);
      wakers.add(end);
      desk.waiting++;
      request.abort?.addEventListener("abort", () => {
        end();
        desk.onAborted();
      });
      desk.onParked();
    });
  }

  const notHere = () => {
    throw new OrchyError("NOT_IMPLEMENTED", "The desk has no workflows.");
  };

  const desk: Desk = {
    saved: [],
    settled: new Map(),
    leased: new Map(),
    released: [],
    ready: true,
    draining: false,
    fault: undefined,
    onParked() {},
    onAborted() {},
    waiting: 0,
    lastPoll: undefined,

    add(name, parameters, { actionId = 1 } = {}) {
      const key = { partition: 0, id: `execution-${++handout}` };
      const id = formatTaskId({
        executionId: key.id,
        run: 1,
        handout,
        actionKey: String(actionId),
      });
      const actionNumber = typeof actionId === "number" ? actionId : 1_000_001;
      const header = { workflow: "orders", version: 3, actionId, actionNumber, name, handout };
      queued.push({
        key,
        id,
        queue: `default/${name}`,
        token: formatToken("k2.nonce", id),
        leasedAt: 1,
        leaseUntil: 300_001,
        deadline: 300_001,
        heartbeatMs: 30_000,
        header: JSON.stringify(header),
        parameters,
        ...header,
        actionKey: String(actionId),
        attempt: 1,
        correlationId: "order-1",
      });
      for (const wake of [...wakers]) wake();
    },
    endPolls() {
      desk.draining = true;
      for (const wake of [...wakers]) wake();
    },

    async poll(request): Promise<PollAnswer> {
      desk.lastPoll = request;
      if (desk.fault) throw desk.fault;
      const results = request.results.map(settle);
      let tasks = take(request);
      const refused = results.some((answer) => answer !== "accepted");
      if (tasks.length === 0 && request.waitMs > 0 && !refused && !desk.draining) {
        await park(request);
        if (!request.abort?.aborted) tasks = take(request);
      }
      return { tasks, results, draining: desk.draining };
    },
    complete: async (results) => results.map(settle),
    async completeByHandout(result: HandoutResult) {
      const prefix = `${result.executionId}:`;
      const tokenOf = (tokens: Iterable<string>) =>
        [...tokens].find((token) => token.includes(`.${prefix}1:${result.handout}:`));
      const token = tokenOf(desk.leased.keys()) ?? tokenOf(desk.settled.keys());
      if (token === undefined) return "stale";
      const number = desk.leased.get(token)?.actionNumber ?? result.actionNumber;
      if (result.actionNumber !== undefined && result.actionNumber !== number) return "stale";
      return settle({ token, outcome: result.outcome });
    },
    heartbeat: async (tokens) =>
      tokens.map((token) => (desk.leased.has(token) ? "extended" : "stale")),
    async release(tokens) {
      return tokens.map((token) => {
        const task = desk.leased.get(token);
        if (task === undefined) return "stale";
        desk.leased.delete(token);
        desk.released.push(token);
        queued.unshift(task);
        return "released";
      });
    },

    async saveAction(definition) {
      const { name } = definition as { name: string };
      if (name.startsWith("bad")) {
        throw new OrchyError("INVALID_ARGUMENT", "The definition has problems.", [
          { pointer: "/retryCount", message: "must not be negative" },
        ]);
      }
      desk.saved.push(definition);
      return { name };
    },
    servers: async () => [
      {
        id: "server-1",
        name: "one",
        grpcAddress: "127.0.0.1:8099",
        httpAddress: "127.0.0.1:8080",
        startedAt: 1,
        version: "0",
      },
    ],
    workers: () => [],
    readiness: async () => ({ ready: desk.ready, checks: {} }),

    saveWorkflow: notHere,
    validateWorkflow: notHere,
    getWorkflow: notHere,
    listWorkflows: notHere,
    listVersions: notHere,
    deleteWorkflow: notHere,
    getAction: notHere,
    listActions: notHere,
    start: notHere,
    getExecution: notHere,
    listExecutions: notHere,
    history: notHere,
    waitForResult: notHere,
    watch: notHere,
    signal: notHere,
    operate: notHere,
    deleteExecution: notHere,
  };
  return desk;
}
