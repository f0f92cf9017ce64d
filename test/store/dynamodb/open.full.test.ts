/** What a start finds: no table, another's table, a newer store, no permission, no network. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Refreshed } from "../../../src/aws/credentials.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { limits } from "../../../src/base/limits.ts";
import { currentFormat } from "../../../src/model/format.ts";
import {
  type DynamoOptions,
  openDynamoDriver,
  openDynamoStore,
} from "../../../src/store/dynamodb/open.ts";
import { Metrics } from "../../../src/telemetry/metrics.ts";
import { type AwsProxy, refusal, startAwsProxy } from "../../support/aws-proxy.ts";
import {
  type Ministack,
  ministackMissing,
  startMinistack,
} from "../../support/brokers/ministack.ts";
import { testCredentials } from "../../support/dynamodb.ts";
import { freePort } from "../../support/ports.ts";

const startMs = 120_000;
const missing = await ministackMissing();

if (missing !== undefined) test.skip(`a start on DynamoDB (${missing})`, () => {});
else {
  describe("a start on DynamoDB", () => {
    let running: Ministack;
    let proxy: AwsProxy;
    let table = "";
    let count = 0;
    beforeAll(async () => {
      running = await startMinistack();
      proxy = await startAwsProxy(running.endpoint);
    }, startMs);
    afterAll(async () => {
      proxy.stop();
      await running.stop();
    });
    beforeEach(() => {
      count += 1;
      table = `table-${count}`;
      proxy.trouble = () => undefined;
      proxy.requests.length = 0;
    });

    const open = (options: Partial<DynamoOptions> = {}, url = `dynamodb://eu-west-1/${table}`) =>
      openDynamoDriver(url, {
        namespace: "orchy",
        dynamodbEndpoint: proxy.endpoint,
        credentials: testCredentials,
        ...options,
      });
    const refusalOf = (opening: Promise<object>) =>
      opening.then(
        () => "it was opened",
        (error: Error) => error.message,
      );
    const operations = () => proxy.requests.map(({ operation }) => operation);

    test("creates its table, which forgets what expires, and opens it again", async () => {
      const first = await open();
      expect(first.partitions).toBe(limits.partitionsBilledDefault);
      expect(first.complaint?.()).toBeUndefined();
      const created = proxy.requests.find(({ operation }) => operation === "CreateTable");
      expect(created?.body).toMatchObject({ TableName: table, BillingMode: "PAY_PER_REQUEST" });
      const expiring = proxy.requests.find(({ operation }) => operation === "UpdateTimeToLive");
      const TimeToLiveSpecification = { Enabled: true, AttributeName: "expires" };
      expect(expiring?.body).toEqual({ TableName: table, TimeToLiveSpecification });
      proxy.requests.length = 0;
      expect((await open()).partitions).toBe(limits.partitionsBilledDefault);
      expect(operations()).toEqual(["DescribeTable", "DescribeTimeToLive", "GetItem"]);
    });

    test("of several at once, one namespace comes", async () => {
      const opened = await Promise.all(
        [8, 16, undefined, 32].map((partitions) =>
          open(partitions === undefined ? {} : { partitions }).then(
            (driver) => driver.partitions,
            (error: Error) => error.message,
          ),
        ),
      );
      const counts = new Set(opened.filter((one) => typeof one === "number"));
      expect(counts.size).toBe(1);
      const others = opened.filter((one) => typeof one === "string");
      for (const sentence of others) expect(sentence).toContain("which cannot be changed");
    });

    test("without permission to create it prints how", async () => {
      proxy.trouble = ({ operation }) =>
        operation === "CreateTable" ? refusal("AccessDeniedException") : undefined;
      expect(await refusalOf(open())).toBe(
        `There is no table ${table} in eu-west-1, and these credentials may not create it. Create it: ` +
          `aws dynamodb create-table --region eu-west-1 --table-name ${table} ` +
          "--attribute-definitions AttributeName=pk,AttributeType=S AttributeName=sk,AttributeType=S " +
          "--key-schema AttributeName=pk,KeyType=HASH AttributeName=sk,KeyType=RANGE " +
          "--billing-mode PAY_PER_REQUEST && " +
          `aws dynamodb wait table-exists --region eu-west-1 --table-name ${table} && ` +
          `aws dynamodb update-time-to-live --region eu-west-1 --table-name ${table} ` +
          "--time-to-live-specification Enabled=true,AttributeName=expires",
      );
      expect(operations()).toEqual(["DescribeTable", "CreateTable"]);
    });

    test("without permission for time to live it says so, and goes on", async () => {
      proxy.trouble = ({ operation }) =>
        operation.includes("TimeToLive") ? refusal("AccessDeniedException") : undefined;
      expect((await open()).complaint?.()).toStartWith(
        `The table ${table} may keep what has expired. Enable it: aws dynamodb update-time-to-live`,
      );
    });

    test("waits for a table that is being created", async () => {
      let times = 0;
      proxy.trouble = ({ operation }) => {
        if (operation !== "DescribeTable" || ++times !== 2) return undefined;
        const creating = { TableStatus: "CREATING", KeySchema: [], AttributeDefinitions: [] };
        return { status: 200, body: { Table: creating } };
      };
      const clock = {
        ...systemClock,
        after: (ms: number, callback: () => void) =>
          systemClock.after(ms > 1_000 ? ms : 0, callback),
      };
      await open({ clock });
      expect(times).toBe(3);
    });

    test("refuses a table with other keys, and leaves it alone", async () => {
      const Table = {
        TableStatus: "ACTIVE",
        KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
        AttributeDefinitions: [{ AttributeName: "id", AttributeType: "N" }],
      };
      proxy.trouble = () => ({ status: 200, body: { Table } });
      expect(await refusalOf(open())).toBe(
        `The table ${table} is not one of Orchy: it has the keys id HASH N, not pk HASH S, sk RANGE S. ` +
          "Name another table in the store's URL: it is created at the start.",
      );
      expect(operations()).toEqual(["DescribeTable"]);
    });

    test("refuses another partition count, and takes the namespace's", async () => {
      await open({ partitions: 4 });
      expect(await refusalOf(open({ partitions: 8 }))).toBe(
        "The namespace orchy has 4 partitions, which cannot be changed; start with --partitions 4, or " +
          "without it.",
      );
      expect((await open()).partitions).toBe(4);
      expect((await open({ namespace: "other" })).partitions).toBe(16);
    });

    test("refuses what a newer Orchy wrote", async () => {
      const { servers } = await open();
      expect(servers.format?.()).toBe(currentFormat);
      expect(await servers.raiseFormat?.(currentFormat + 1)).toBe(currentFormat + 1);
      expect(await servers.raiseFormat?.(currentFormat)).toBe(currentFormat + 1);
      expect(await refusalOf(open())).toStartWith(
        `The namespace orchy of the table ${table} was written by a newer Orchy (format ` +
          `${currentFormat + 1}; this one reads`,
      );
    });

    test("hears of a format that another server raised", async () => {
      const [one, two] = [await open(), await open()];
      await one.servers.raiseFormat?.(currentFormat + 1);
      expect(two.servers.format?.()).toBe(currentFormat);
      await two.servers.listServers({ now: 0 });
      expect(two.servers.format?.()).toBe(currentFormat + 1);
    });

    test.each([
      ["UnrecognizedClientException", "DynamoDB refuses the AWS credentials"],
      ["AccessDeniedException", "DynamoDB does not permit the use of the table"],
      ["ValidationException", "DynamoDB at 127.0.0.1:"],
    ])("says what %s means", async (code, sentence) => {
      proxy.trouble = () => refusal(code);
      expect(await refusalOf(open())).toStartWith(sentence);
    });

    test("without credentials passes on what they say", async () => {
      const credentials = new Refreshed(systemClock, async () => {
        throw new Error("No AWS credentials were found in the environment, …");
      });
      expect(await refusalOf(open({ credentials }))).toBe(
        "DynamoDB cannot be used: DescribeTable: No AWS credentials were found in the environment, ….",
      );
      expect(operations()).toEqual([]);
    });

    test("of an endpoint where nobody listens says so", async () => {
      const clock = {
        ...systemClock,
        after: (ms: number, callback: () => void) => systemClock.after(Math.min(ms, 5), callback),
      };
      const endpoint = `http://127.0.0.1:${freePort()}`;
      expect(await refusalOf(open({ clock, dynamodbEndpoint: endpoint }))).toBe(
        `DynamoDB cannot be reached at ${endpoint.slice(7)} (ECONNREFUSED). Check the region of the ` +
          "store's URL, dynamodb://REGION/TABLE, or --dynamodb-endpoint.",
      );
    });

    test("counts its requests, the throttled ones among them, and what they cost", async () => {
      const metrics = new Metrics();
      await open();
      let times = 0;
      proxy.trouble = ({ operation }) =>
        operation === "GetItem" && ++times <= 2 ? refusal("ThrottlingException") : undefined;
      const options = {
        namespace: "orchy",
        dynamodbEndpoint: proxy.endpoint,
        credentials: testCredentials,
        metrics,
      };
      const store = await openDynamoStore(`dynamodb://eu-west-1/${table}`, options);
      await store.close();
      const text = await metrics.text();
      const requests = "orchy_dynamodb_requests_total";
      expect(text).toContain(`${requests}{operation="GetItem",outcome="ThrottlingException"} 2`);
      expect(text).toContain(`${requests}{operation="GetItem",outcome="ok"} 1`);
      expect(text).toContain('orchy_dynamodb_capacity_units_total{operation="GetItem"} 1');
    });

    test("of a real server ends with a sentence and 1", async () => {
      await open({ partitions: 4 });
      const arguments_ = ["--partitions", "8", "--http-port", "0", "--grpc-port", "0"];
      const store = ["--store", `dynamodb://eu-west-1/${table}`];
      const endpoint = ["--dynamodb-endpoint", running.endpoint];
      const main = join(import.meta.dirname, "..", "..", "..", "src", "main.ts");
      const child = Bun.spawn([process.execPath, main, ...store, ...endpoint, ...arguments_], {
        env: { PATH: process.env.PATH, AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" },
        stdout: "ignore",
        stderr: "pipe",
      });
      expect(await new Response(child.stderr).text()).toBe(
        "Orchy cannot start: The namespace orchy has 4 partitions, which cannot be changed; start with " +
          "--partitions 4, or without it.\n",
      );
      expect(await child.exited).toBe(1);
    });

    test.each([
      "dynamodb://eu-west-1",
      "dynamodb://eu-west-1/",
      "dynamodb://eu-west-1/a/b",
      "dynamodb://eu-west-1/ab",
      "dynamodb://EU west/orchy",
      "dynamodb:orchy",
    ])("refuses the address %s", async (url) => {
      expect(await refusalOf(open({}, url))).toStartWith(
        "The address of the DynamoDB store is invalid: write dynamodb://REGION/TABLE",
      );
      expect(operations()).toEqual([]);
    });
  });
}
