/** What callers send again counts as the same by its values, however it is written. */
import { afterEach, expect, test } from "bun:test";
import { canonicalCharsMax } from "../../src/model/canonical.ts";
import { executionKey } from "../../src/model/ids.ts";
import { comparedCharsMax } from "../../src/runtime/services/executions.ts";
import { hashRequest } from "../../src/runtime/shared/hash.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import type { Store } from "../../src/store/store.ts";
import {
  type Answer,
  call,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";

const servers: TestServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.remove();
});

async function open(store: Store = new MemoryStore({ partitions: 2 })): Promise<TestServer> {
  const server = await startTestServer({ parts: { store } });
  servers.push(server);
  await save(
    server,
    '{"name":"quick","rootAction":1,"actions":[{"id":1,"type":"system","name":"transform"}]}',
  );
  return server;
}

const save = async (server: TestServer, text: string) =>
  (await call(server, "POST", "/v1/workflows", text)).body;

test("a definition with the values of the newest version makes no new one", async () => {
  const server = await open();
  const same = [
    '{"name":"w","rootAction":1,"actions":[{"id":1,"type":"system","name":"transform","parameters":{"a":1,"b":[0.1,12345678901234567890]}}]}',
    ' {"actions":[{"parameters":{"b":[1e-1,1234567890123456789e1],"a":1.0},"name":"transform","type":"system","id":1}],"description":"","rootAction":1,"name":"w"}',
    '{"name":"w","description":"","rootAction":1,"actions":[{"id":1,"type":"SYSTEM","name":"transform","parameters":{"b":[0.10,12345678901234567890.0],"a":1}}],"version":7}',
  ];
  const saved = [];
  for (const text of same) saved.push(await save(server, text));
  expect(saved.map(({ version, created }) => [version, created])).toEqual([
    [1, true],
    [1, false],
    [1, false],
  ]);
  const others = [
    same[0]!.replace("12345678901234567890", "12345678901234567891"),
    same[0]!.replace('"a":1', '"a":"1"'),
    same[0]!.replace('"b":[', '"b":[1,'),
    same[0]!.replace('"name":"w"', '"name":"w","description":"of it"'),
    same[0]!,
  ];
  for (const [index, text] of others.entries()) {
    expect([index, await save(server, text)]).toMatchObject([
      index,
      { version: index + 2, created: true },
    ]);
  }
  expect((await call(server, "DELETE", "/v1/workflows/w")).status).toBe(204);
  expect(await save(server, same[1]!)).toMatchObject({ version: 7, created: true });
});

test("nor do the same rules of an action change anything", async () => {
  const store = new MemoryStore({ partitions: 1 });
  const server = await open(store);
  const put = (text: string) => call(server, "PUT", "/v1/actions/a", text);
  await put('{"retryCount":2,"retryAfterSeconds":0.5,"nonRetryable":["A","B"]}');
  await put('{"nonRetryable":["A","B"],"retry_after_seconds":5e-1,"name":"a","retryCount":2.0}');
  const version = async () => (await store.getDocument({ kind: "action", id: "a" }))?.version;
  expect(await version()).toBe(1);
  await put('{"retryCount":2,"retryAfterSeconds":0.5,"nonRetryable":["B","A"]}');
  expect(await version()).toBe(2);
});

const key = { "idempotency-key": "k" };
const start = (server: TestServer, text: string, headers: Record<string, string> = key) =>
  call(server, "POST", "/v1/executions", text, headers);
const outcomes = (answers: readonly Answer[]) =>
  answers.map(({ status, body }) => body.created ?? `${status} ${body.error.code}`);

const first =
  '{"workflow":"quick","correlationId":"c","input":{"n":9007199254740993,"list":[1,2],"o":{"a":"ä","b":null}},"signal":{"event":"e","payload":{"x":1,"y":2}}}';
const respelt =
  ' {"input":\n{"o":{"b":null,"a":"\\u00e4"},"list":[1.0,2e0],"n":9007199254740993.0}, "signal":{"payload":{ "y":2,"x":1 },"event":"e"},"correlationId":"c","workflow":"quick"}';
const others = [
  first.replace("993", "992"),
  first.replace("[1,2]", "[2,1]"),
  first.replace('"x":1', '"x":3'),
  first.replace('"c"', '"d"'),
  first.replace('"workflow"', '"priority":1,"workflow"'),
  first.replace('"b":null', '"b":null,"c":null'),
];

test("a start is repeated by its values, before and after it was deleted", async () => {
  const server = await open();
  expect(outcomes([await start(server, first), await start(server, respelt)])).toEqual([
    true,
    false,
  ]);
  const refused = Array(others.length).fill("409 CONFLICT");
  const repeatOthers = async () =>
    outcomes(await Promise.all(others.map((text) => start(server, text))));
  expect(await repeatOthers()).toEqual(refused);
  // A version that never was cannot be what it was started with.
  const unknown = first.replace('"workflow"', '"version":9,"workflow"');
  expect(outcomes([await start(server, unknown)])).toEqual(["409 CONFLICT"]);
  expect(outcomes([await start(server, unknown, {})])).toEqual(["404 NOT_FOUND"]);

  expect((await call(server, "DELETE", "/v1/workflows/quick")).status).toBe(204);
  const { body } = await start(server, respelt);
  expect(body).toMatchObject({ created: false, status: "COMPLETED" });
  await untilEnded(server, body.id);
  expect((await call(server, "DELETE", `/v1/executions/${body.id}`)).status).toBe(204);
  const gone = { id: body.id, created: false, deleted: true };
  for (const text of [first, respelt]) expect((await start(server, text)).body).toMatchObject(gone);
  expect(await repeatOthers()).toEqual(refused);
});

test("a start that an older server must understand is repeated by its values, too", async () => {
  let format = 2;
  const store = Object.assign(new MemoryStore({ partitions: 2 }), { format: () => format });
  const server = await open(store);
  const plain = '{"workflow":"quick","input":{"n":9007199254740993,"m":[1]}}';
  const spelt = '{"input":{"m":[1.0],"n": 9007199254740993},"workflow":"quick"}';
  const other = plain.replace("993", "992");
  const executionId = (await start(server, plain)).body.id;
  for (format of [2, 3]) {
    const answers = [
      await start(server, plain),
      await start(server, spelt),
      await start(server, other),
    ];
    expect(outcomes(answers)).toEqual([false, false, "409 CONFLICT"]);
  }
  // What is compared at the older server: the text.
  const key = executionKey(executionId, 2);
  const asked = { workflow: "quick", input: '{"n":9007199254740993,"m":[1]}' };
  const again = {
    key,
    commitId: "c",
    listing: {},
    state: "{}",
    data: new Map(),
    effects: {},
    now: 1,
  };
  expect(await store.create(again as never)).toMatchObject({
    outcome: "exists",
    requestHash: hashRequest(asked),
  });
  expect((await call(server, "DELETE", `/v1/executions/${executionId}`)).status).toBe(204);
  expect((await start(server, plain)).body).toMatchObject({ id: executionId, deleted: true });
});

test("long inputs are compared, too, up to a bound", async () => {
  const server = await open();
  const body = (text: string) => `{"workflow":"quick","input":{"a":1,"text":"${text}"}}`;
  const spelt = (text: string) => `{"workflow":"quick","input":{"text":"${text}", "a":1}}`;
  const long = "x".repeat(canonicalCharsMax);
  const both = [await start(server, body(long)), await start(server, spelt(long))];
  expect(outcomes(both)).toEqual([true, false]);
  expect(outcomes([await start(server, spelt(`${long}y`))])).toEqual(["409 CONFLICT"]);
  const longer = "x".repeat(comparedCharsMax);
  const other = { "idempotency-key": "longer" };
  const texts = [body(longer), body(longer), spelt(longer)];
  const answers = [];
  for (const text of texts) answers.push(await start(server, text, other));
  expect(outcomes(answers)).toEqual([true, false, "409 CONFLICT"]);
});
