/**
 * A task queue with the stores for which it pays: DynamoDB with SQS, Cassandra with Kafka. Two servers,
 * one of which is killed in the middle; all executions end, each once.
 */
import { afterEach, expect, test } from "bun:test";
import { kafkaMissing, startKafka } from "../support/brokers/kafka.ts";
import { ministackMissing, startMinistack } from "../support/brokers/ministack.ts";
import { cassandraMissing, startCassandra } from "../support/cassandra.ts";
import { testUrl } from "../support/dynamodb.ts";
import { readMetrics, total } from "../support/metrics.ts";
import { call, saveWorkflow, startExecution, untilEnded } from "../support/orchy.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { complete, done, poll } from "./calls.ts";

interface Place {
  readonly store: string;
  readonly flags: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const count = 40;
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function dynamoAndSqs(): Promise<Place> {
  const ministack = await startMinistack();
  ends.push(() => ministack.stop());
  const { endpoint } = ministack;
  const env = {
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test",
    AWS_ENDPOINT_URL_DYNAMODB: endpoint,
  };
  return { store: testUrl, flags: ["--queue", `sqs:test?endpoint=${endpoint}`], env };
}

async function cassandraAndKafka(): Promise<Place> {
  const cassandra = await startCassandra();
  ends.push(() => cassandra.stop());
  const kafka = await startKafka();
  ends.push(() => kafka.stop());
  return { store: cassandra.url("orchy"), flags: ["--queue", `kafka:${kafka.brokers.plaintext}`] };
}

const places = [
  ["DynamoDB with SQS", await ministackMissing(), dynamoAndSqs],
  ["Cassandra with Kafka", (await cassandraMissing()) ?? (await kafkaMissing()), cassandraAndKafka],
] as const;

for (const [name, missing, start] of places) {
  const title = missing === undefined ? name : `${name} (${missing})`;
  test.skipIf(missing !== undefined)(
    `${title}: a server dies, and each execution ends once`,
    async () => {
      const { store, flags, env = {} } = await start();
      const open = async (node: string) => {
        const server = await startProcess(store, { env }, [...flags, "--node-name", node]);
        ends.push(async () => {
          server.child.kill("SIGKILL");
          await server.child.exited;
        });
        return server;
      };
      const [one, other] = [await open("one"), await open("other")];
      const rules = { timeoutSeconds: 5, retryCount: 20, retryAfterSeconds: 1 };
      await call(one, "PUT", "/v1/actions/a", rules);
      await call(one, "PUT", "/v1/actions/b", rules);
      const actions = [
        { id: "a", type: "user", name: "a", next: { default: "b" } },
        { id: "b", type: "user", name: "b" },
      ];
      await saveWorkflow(one, { name: "two", rootAction: "a", actions });
      const accepted: string[] = [];
      let isOver = false;
      const work = async (server: ServerProcess, action: string) => {
        while (!isOver) {
          const request = { actions: [action], maxTasks: 5, waitSeconds: 2 };
          const tasks = await poll(server, request);
          const answers =
            tasks.length === 0 ? [] : await complete(server, ...tasks.map((t) => done(t)));
          for (const [i, { executionId, actionId }] of tasks.entries()) {
            if (answers[i] === "ACCEPTED") accepted.push(`${executionId} ${actionId}`);
          }
        }
      };
      const claimed = async () =>
        total(await readMetrics(other), "orchy_queue_tickets_total", 'event="claimed"');
      const ids: string[] = [];
      const startSome = async (server: ServerProcess, some: number) => {
        for (let n = 0; n < some; n++) ids.push(await startExecution(server, "two"));
      };
      // The second action has its workers at the other server: a ticket brings each of its tasks.
      const dying = work(one, "a").catch(() => {});
      const working = [work(other, "b")];
      await startSome(one, count / 2);
      while ((await claimed()) < 5) {
        await startSome(one, 1);
        await Bun.sleep(100);
      }
      one.child.kill("SIGKILL");
      working.push(work(other, "a"));
      await startSome(other, count / 2);
      const statuses = await Promise.all(
        ids.map(async (id) => (await untilEnded(other, id)).status),
      );
      isOver = true;
      await Promise.all([dying, ...working]);
      expect(new Set(statuses)).toEqual(new Set(["COMPLETED"]));
      expect(new Set(accepted).size).toBe(accepted.length);
    },
    240_000,
  );
}
