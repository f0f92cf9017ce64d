/**
 * A source on a FIFO queue, read by servers that are killed: messages of a group are handled in their order
 * and once each, whatever comes again, and one that cannot be handled holds up its own group alone.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import type { IncomingMessage } from "../../src/brokers/message.ts";
import { SqsQueue } from "../../src/brokers/sqs/queue.ts";
import { SqsService } from "../../src/brokers/sqs/service.ts";
import { type AwsProxy, startAwsProxy } from "../support/aws-proxy.ts";
import { elasticmqMissing, startElasticmq } from "../support/brokers/elasticmq.ts";
import { ministackMissing, startMinistack } from "../support/brokers/ministack.ts";
import { call, saveWorkflow, startExecution, untilEnded } from "../support/orchy.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";

const systems = [
  ["ministack", await ministackMissing(), startMinistack],
  ["ElasticMQ", await elasticmqMissing(), startElasticmq],
] as const;
const keys = { AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test-secret" };
const { signal } = new AbortController();
const groups = ["a", "b", "bad"];
/** More than one call of SQS brings. */
const perGroup = 12;
const numbers = Array.from({ length: perGroup }, (_, n) => n);

/** Takes signals one after another; its result is what they brought. */
const hears = {
  name: "hears",
  rootAction: "h0",
  actions: numbers.map((n) => ({
    id: `h${n}`,
    type: "system",
    name: "wait",
    event: "go",
    ...(n + 1 < perGroup && { next: { default: `h${n + 1}` } }),
  })),
  output: numbers.map((n) => `$.h${n}.output.payload.n`),
};

for (const [system, missing, start] of systems) {
  const name = missing === undefined ? system : `${system} (${missing})`;
  describe.skipIf(missing !== undefined)(`a source on a FIFO queue of SQS, as ${name}`, () => {
    let sqs: Awaited<ReturnType<typeof start>>;
    let proxy: AwsProxy;
    let folder: string;
    let server: ServerProcess | undefined;

    beforeEach(async () => {
      Object.assign(process.env, keys);
      sqs = await start();
      proxy = await startAwsProxy(sqs.endpoint);
      folder = mkdtempSync(join(tmpdir(), "orchy-fifo-"));
    }, 120_000);
    afterEach(async () => {
      await kill();
      proxy?.stop();
      await sqs?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    async function begin(): Promise<ServerProcess> {
      const env = { ...keys, AWS_ENDPOINT_URL_SQS: proxy.endpoint };
      server = await startProcess(`sqlite:${folder}/orchy.db`, { env });
      return server;
    }

    async function kill(): Promise<void> {
      server?.child.kill("SIGKILL");
      await server?.child.exited;
    }

    function open(queue: string): SqsQueue {
      const service = new SqsService({ clock: systemClock, endpoint: sqs.endpoint });
      return new SqsQueue({ service, queue, visibilitySeconds: 30, create: { FifoQueue: "true" } });
    }

    test("groups keep their order, and each message counts once", async () => {
      const [orders, dead] = [open("orders.fifo"), open("dead.fifo")];
      await dead.backlog();
      const bodies = (group: string) => numbers.map((n) => ({ key: group, body: `{"n":${n}}` }));
      const messages = groups.flatMap((group) => [
        ...(group === "bad" ? [{ key: group, body: "{" }] : []),
        ...bodies(group),
      ]);
      const sent = messages.map((message, n) => ({ ...message, id: `${n}` }));
      expect((await orders.send(sent)).filter(Boolean)).toEqual([]);

      // Messages come again soon; the first that are handled are not acknowledged before the server dies,
      // and the dead letter is taken only when the other groups are through.
      const dies = Promise.withResolvers<void>();
      const killed = Promise.withResolvers<void>();
      const through = Promise.withResolvers<void>();
      let deletions = 0;
      proxy.trouble = async ({ operation, body }) => {
        if (operation === "ReceiveMessage") body.VisibilityTimeout = 2;
        if (operation === "DeleteMessageBatch" && ++deletions === 3) {
          dies.resolve();
          await killed.promise;
          return "cut before";
        }
        if (operation === "SendMessageBatch" && /dead/.test(body.QueueUrl)) await through.promise;
        return undefined;
      };
      let at = await begin();
      await saveWorkflow(at, hears);
      const ids = new Map<string, string>();
      for (const group of groups) {
        ids.set(group, await startExecution(at, "hears", {}, { correlationId: group }));
      }
      await call(at, "PUT", "/v1/sources/orders", {
        from: "sqs:orders.fifo",
        as: { signal: { event: "go", correlationId: "$.message.key" } },
        deadLetter: "sqs:dead.fifo",
      });
      await dies.promise;
      await kill();
      killed.resolve();
      at = await begin();
      for (const group of ["a", "b"]) {
        expect((await untilEnded(at, ids.get(group)!)).result).toEqual(numbers);
      }
      const deadLetters = async (): Promise<number> => {
        const { body } = await call(at, "GET", "/v1/sources/orders");
        // A server that stood still for long takes the source anew.
        return body.status?.deadLetters ?? (await deadLetters());
      };
      expect(await deadLetters()).toBe(0);
      through.resolve();
      expect((await untilEnded(at, ids.get("bad")!)).result).toEqual(numbers);
      while ((await orders.backlog()) > 0) await Bun.sleep(100);
      const letters: IncomingMessage[] = [];
      while (letters.length === 0) {
        letters.push(...(await dead.receive({ limit: 10, waitMs: 1_000, signal })));
      }
      expect(letters.map(({ body, key }) => [body, key])).toEqual([["{", "bad"]]);
    }, 240_000);
  });
}
