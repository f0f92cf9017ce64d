/**
 * Mistakes made on purpose, each one that a store or a runtime could well contain. They live in
 * wrappers around the real parts, and prove that the simulation would find them.
 */

import { decodeExecution } from "../../src/engine/stored/codec.ts";
import { executionKey, parseTaskId } from "../../src/model/ids.ts";
import type { ChildEndedMessage } from "../../src/model/message.ts";
import {
  type CommitRequest,
  type CreateRequest,
  type Holdings,
  type OutboxMessage,
  type Store,
  StoreFault,
} from "../../src/store/store.ts";
import type { Mistake } from "./simulation.ts";

/** The same object, with some of its methods replaced. */
export function replaced<Target extends object>(target: Target, methods: Partial<Target>): Target {
  return new Proxy(target, {
    get(_, name) {
      const replacement = Reflect.get(methods, name);
      if (replacement !== undefined) return replacement;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** A store that reads commits as `change` leaves them. */
export function changingCommits<Kind extends Store>(
  store: Kind,
  change: (request: CommitRequest, holdings: Holdings) => CommitRequest | Promise<CommitRequest>,
): Store {
  return replaced<Store>(store, {
    commit: async (request) =>
      store.commit(await change(request, await store.holdings(request.key))),
  });
}

export const leaseOf = ({ tasks }: Holdings, taskId: string) =>
  tasks.find(({ id }) => id === taskId);

/** The state of a commit in which items have ended that are counted as open. */
function withLeak({ state, settle }: CommitRequest): string {
  const ended = settle.filter(({ taskId }) => parseTaskId(taskId)?.item !== undefined);
  if (ended.length === 0) return state;
  const parsed = JSON.parse(state) as { records: Record<string, { items?: { open: number } }> };
  for (const { items } of Object.values(parsed.records)) {
    if (items !== undefined) items.open += ended.length;
  }
  return JSON.stringify(parsed);
}

export const mistakes: readonly Mistake[] = [
  {
    name: "the token of a result is not checked",
    wrapStore: (store) =>
      changingCommits(store, (request, holdings) => ({
        ...request,
        settle: request.settle.flatMap(({ taskId }) => {
          const token = leaseOf(holdings, taskId)?.token;
          return token === undefined ? [] : [{ taskId, token }];
        }),
      })),
  },
  {
    name: "the head of an execution is not compared",
    wrapStore: (store) =>
      changingCommits(store, async (request) => {
        const loaded = await store.load({ key: request.key, fields: [] });
        return loaded.outcome === "loaded" ? { ...request, expected: loaded.head } : request;
      }),
  },
  {
    name: "a lease lapses although a heartbeat has moved its end",
    wrapStore: (store) =>
      changingCommits(store, (request, holdings) => ({
        ...request,
        expire: request.expire.map((expiry) => {
          const lease = leaseOf(holdings, expiry.taskId);
          const isSame = lease?.token !== undefined && lease.token === expiry.token;
          return isSame ? { ...expiry, until: lease.leaseUntil ?? expiry.until } : expiry;
        }),
      })),
  },
  {
    name: "a timer that was claimed never comes back",
    wrapStore: (store) =>
      replaced<Store>(store, {
        claimDue: (request) => store.claimDue({ ...request, hideMs: 365 * 24 * 3_600_000 }),
      }),
  },
  {
    name: "a resume forgets the tasks that were held",
    wrapStore: (store) =>
      changingCommits(store, ({ hold, ...request }) =>
        hold === true ? { ...request, hold } : request,
      ),
  },
  {
    name: "a pause does not hold queued tasks",
    wrapStore: (store) => changingCommits(store, ({ hold: _, ...request }) => request),
  },
  {
    name: "anybody may give a task back",
    wrapStore: (store) =>
      replaced<Store>(store, {
        async releaseTasks(request) {
          const tasks = request.tasks.map(async (task) => {
            const token = leaseOf(await store.holdings(task.key), task.taskId)?.token;
            return { ...task, token: token ?? task.token };
          });
          return store.releaseTasks({ ...request, tasks: await Promise.all(tasks) });
        },
      }),
  },
  {
    name: "a commit loses the first field that it writes",
    wrapStore: (store) =>
      changingCommits(store, (request) =>
        request.data.size < 2 ? request : { ...request, data: new Map([...request.data].slice(1)) },
      ),
  },
  {
    name: "the ids of signals are forgotten",
    wrapStore: (store) =>
      changingCommits(store, (request) => ({
        ...request,
        data: new Map([...request.data].filter(([name]) => !name.startsWith("causes:"))),
      })),
  },
  {
    name: "a result is accepted before its commit holds",
    wrapLine: (line, process) =>
      replaced<Store>(line, {
        async commit(request) {
          const answer = line.commit(request);
          if (request.settle.length === 0) return answer;
          answer.catch(() => {});
          await new Promise<void>((resolve) => process.clock.after(1, resolve));
          const { commitId, expected } = request;
          return { outcome: "committed", head: { revision: expected.revision + 1, commitId } };
        },
      }),
  },
  {
    name: "a task is handed out although its commit may have failed",
    wrapLine: (line) =>
      replaced<Store>(line, {
        commit: (request) =>
          line.commit(request).catch((error) => {
            const handsOut = request.effects.tasks.some((task) => task.lease !== undefined);
            if (!handsOut || !(error instanceof StoreFault)) throw error;
            const { commitId, expected } = request;
            return { outcome: "committed", head: { revision: expected.revision + 1, commitId } };
          }),
      }),
  },
  {
    name: "a message is put away before it is delivered",
    wrapLine: (line) =>
      replaced<Store>(line, {
        async claimOutbox(request) {
          const answer = await line.claimOutbox(request);
          const messages = answer.messages.map(({ key, id }) => ({ key, id }));
          await line.ackOutbox({ partition: request.partition, messages });
          return answer;
        },
      }),
  },
  {
    name: "the start of a child is lost",
    wrapLine: (line) =>
      replaced<Store>(line, {
        async claimOutbox(request) {
          const { messages, ...answer } = await line.claimOutbox(request);
          const isStart = ({ body }: { readonly body: string }) => body.includes('"start-child"');
          const lost = messages.filter(isStart).map(({ key, id }) => ({ key, id }));
          await line.ackOutbox({ partition: request.partition, messages: lost });
          return { ...answer, messages: messages.filter((message) => !isStart(message)) };
        },
      }),
  },
  {
    name: "an end of a child that is told twice counts for the next child",
    wrapLine: (line, process) => {
      const told = new Set<string>();
      const hideMs = 1_500;
      return replaced<Store>(line, {
        async claimOutbox(request) {
          const { messages, nextDue } = await line.claimOutbox({ ...request, hideMs });
          const again = process.clock.now() + hideMs;
          return {
            messages: await Promise.all(messages.map(forAnyChild)),
            nextDue: Math.min(again, nextDue ?? again),
          };

          async function forAnyChild(message: OutboxMessage): Promise<OutboxMessage> {
            const { type, parent } = JSON.parse(message.body) as ChildEndedMessage;
            if (type !== "child-ended" || parent.action !== "again") return message;
            const loaded = await line.load({ key: executionKey(parent.id, line.partitions) });
            if (loaded.outcome !== "loaded") return message;
            const { records } = decodeExecution(loaded.state, loaded.data);
            const started = records.find((record) => record?.child !== undefined && record.rounds);
            const handout = started?.handout ?? parent.handout;
            const body = message.body.replace(/"handout":\d+/, `"handout":${handout}`);
            return { ...message, body };
          }
        },
        /** The first time it is lost. */
        ackOutbox({ partition, messages }) {
          const isTold = ({ key, id }: (typeof messages)[number]) =>
            !id.startsWith("child-ended") || told.has(key.id) || !told.add(key.id);
          return line.ackOutbox({ partition, messages: messages.filter(isTold) });
        },
      });
    },
  },
  {
    name: "the children of what has ended are not ended",
    wrapLine: (line) =>
      changingCommits(line, ({ effects, ...request }) => {
        const messages = effects.messages.filter(({ body }) => !body.includes('"cancel-child"'));
        return { ...request, effects: { ...effects, messages } };
      }),
  },
  {
    name: "an unknown outcome is taken for not applied",
    wrapLine: (line) =>
      replaced<Store>(line, {
        create: (request: CreateRequest) =>
          line.create(request).catch((error) => {
            throw error instanceof StoreFault ? new StoreFault("not_applied", "no") : error;
          }),
      }),
  },
  {
    name: "recovery is lost at a join, as an execution that is read forgets its flow rule",
    wrapLine: (line) =>
      replaced<Store>(line, {
        async load(request) {
          const answer = await line.load(request);
          if (answer.outcome !== "loaded") return answer;
          return { ...answer, state: answer.state.replace('"failuresTravel":true,', "") };
        },
      }),
  },
  {
    name: "a rerun keeps the timers of what it resets",
    wrapStore: (store) =>
      changingCommits(store, (request) => {
        const isRerun = request.effects.history.some((text) => text.includes('"execution.rerun"'));
        return isRerun ? { ...request, effects: { ...request.effects, dropTimers: [] } } : request;
      }),
  },
  {
    name: "a fork relies on the timers of what it is a fork of",
    wrapStore: (store) =>
      replaced<Store>(store, {
        create: (request) => {
          const { effects } = request;
          const isFork = effects.history.some((text) => text.includes('"execution.forked"'));
          return store.create(
            isFork ? { ...request, effects: { ...effects, timers: [] } } : request,
          );
        },
      }),
  },
  {
    name: "a start that finds its execution is not answered",
    wrapRuntime: (runtime) =>
      replaced(runtime, {
        async start(request) {
          const answer = await runtime.start(request);
          return answer.created ? answer : new Promise(() => {});
        },
      }),
  },
  {
    name: "the idempotency key of a start is ignored",
    wrapRuntime: (runtime) =>
      replaced(runtime, {
        start: ({ idempotencyKey: _, ...request }) => runtime.start(request),
      }),
  },
  {
    name: "a poll for Struct is given what fits none",
    wrapRuntime: (runtime) =>
      replaced(runtime, {
        poll: (request) => runtime.poll({ ...request, structOnly: false }),
      }),
  },
  {
    name: "an item of a map that has ended keeps its place in the window",
    wrapStore: (store) =>
      changingCommits(store, (request) => ({ ...request, state: withLeak(request) })),
  },
];
