/** Numbers of definitions stay exact wherever the definition takes them; settings are doubles. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { startExecution, startTestServer, type TestServer, untilEnded } from "../support/orchy.ts";
import { done, service } from "./calls.ts";

/** Larger than a double holds, and nearer to another double's text. */
const numbers = ["356686000032329832", "-9007199254740993", "0.1000000000000000055511151231257827"];
const [large, negative, fraction] = numbers;
const written = `{"n":[${large},{"deep":${negative}}],"f":${fraction},"e":1E+2,"t":"${large}"}`;
const kept = written.replace("1E+2", "100");

const transform = (id: string, more = "") =>
  `{"id":"${id}","type":"system","name":"transform","parameters":${written}${more}}`;

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.remove());

/** As text: JSON.parse would round what is to be seen. */
async function text(method: string, path: string, body?: string): Promise<string> {
  const headers = { "content-type": "application/json" };
  const init = body === undefined ? { method } : { method, body, headers };
  return (await fetch(server.url + path, init)).text();
}

test("templates, outputs and what follows are given on as they are written", async () => {
  const follower = `{"name":"follower","rootAction":"a","actions":[${transform("a")}]}`;
  const user = `{"id":"u","type":"user","name":"exact","parameters":${written}}`;
  const leader = `{"name":"leader","rootAction":["t","u"],"actions":[${transform("t")},${user}],
    "output":{"own":${written},"task":"$.u.output"},
    "onSuccess":{"workflow":"follower","parameters":${written}}}`;
  for (const definition of [follower, leader]) {
    expect(await text("POST", "/v1/workflows/validate", definition)).toContain('"valid":true');
    expect(await text("POST", "/v1/workflows", definition)).toContain('"version":1');
  }
  expect(await text("POST", "/v1/workflows", leader)).toContain('"created":false');

  server = await server.restart();
  const id = await startExecution(server, "leader");
  const polled = { actions: ["exact"], waitSeconds: 10, payloadFormat: "PAYLOAD_FORMAT_JSON" };
  const [task] = (await service(server, "Poll", polled)).tasks;
  const parameters = Buffer.from(task.parametersJson, "base64").toString();
  expect(parameters).toBe(kept);
  const { token } = done(task);
  const outputJson = Buffer.from(parameters).toString("base64");
  await service(server, "Complete", { results: [{ token, outputJson }] });
  await untilEnded(server, id);
  const ended = await text("GET", `/v1/executions/${id}`);
  expect(ended).toContain(`"t":{"output":${kept}`);
  expect(ended).toContain(`"result":{"own":${kept},"task":${kept}}`);

  const { items } = JSON.parse(await text("GET", "/v1/executions?workflow=follower"));
  await untilEnded(server, items[0].id);
  const followed = await text("GET", `/v1/executions/${items[0].id}`);
  expect(followed).toContain(`"input":${kept}`);
  expect(followed).toContain(`"result":${kept}`);
});

test("conditions, defaults and inline definitions hold them, too", async () => {
  const cases = `[{"when":{"ref":"$.input.n","eq":${large}},"route":"same"},
    {"when":{"ref":"$.input.n","in":[1,${negative}]},"route":"in"}]`;
  const choice = `{"id":"s","type":"system","name":"switch","cases":${cases},
    "next":{"same":[],"in":[],"default":[]}}`;
  const inner = `{"rootAction":"t","actions":[${transform("t")},${choice}],"output":
    {"own":${written},"task":"$.t.output","input":"$.input","default":"$.input.x ?? ${large}","route":"$.s.output.route"}}`;
  const action = `{"id":"c","type":"system","name":"workflow","parameters":{"n":"$.input.n","d":${negative}},
    "definition":${inner.replace('"rootAction":"t"', '"rootAction":["t","s"]')}}`;
  const outer = `{"name":"outer","rootAction":"c","actions":[${action}]}`;
  expect(await text("POST", "/v1/workflows", outer)).toContain('"version":1');
  const definition = await text("GET", "/v1/workflows/outer");
  expect(definition).toContain(`"eq":${large}`);
  expect(definition).toContain(`"in":[1,${negative}]`);
  expect(definition).toContain(`"output":{"own":${kept}`);
  for (const [n, route] of [
    [large, "same"],
    ["356686000032329833", "default"],
    [`${negative}.0`, "in"],
  ]) {
    const body = `{"workflow":"outer","input":{"n":${n}}}`;
    const { id } = JSON.parse(await text("POST", "/v1/executions", body));
    await untilEnded(server, id);
    const result = `{"own":${kept},"task":${kept},"input":{"n":${n},"d":${negative}},"default":${large},"route":"${route}"}`;
    expect(await text("GET", `/v1/executions/${id}`)).toContain(`"result":${result}`);
  }
});

test("definitions are read as they were written, over all routes", async () => {
  for (const [name, path] of Object.entries({ new: "/v1/workflows", old: "/metadata/workflow" })) {
    const delay = `{"id":"d","type":"system","name":"delay","delaySeconds":${fraction}}`;
    const actions = `[${transform("a", ',"next":{"default":"d"}')},${delay}]`;
    await text("POST", path, `{"name":"${name}","rootAction":"a","actions":${actions}}`);
    for (const at of ["/v1/workflows", "/metadata/workflow", "/workflow"]) {
      const definition = await text("GET", `${at}/${name}`);
      expect(definition).toContain(`"parameters":${kept}`);
      expect(definition).toContain(`"delaySeconds":${fraction}`);
    }
  }
});

test("a switch tells numbers apart by their exact value", async () => {
  const routes = ["356686000032329832", "1.10000000000000000001", "100", "0", "1e-7", "default"];
  const next = routes.map((route, index) => `"${route}":"r${index}"`);
  const targets = routes.map(
    (_, index) => `{"id":"r${index}","type":"system","name":"transform","parameters":{}}`,
  );
  const choice = `{"id":"s","type":"system","name":"switch","expression":"$.input.value"`;
  const actions = `[${choice},"next":{${next}}},${targets}]`;
  await text("POST", "/v1/workflows", `{"name":"choice","rootAction":"s","actions":${actions}}`);
  const routeOf = async (value: string) => {
    const body = `{"workflow":"choice","input":{"value":${value}}}`;
    const { id } = JSON.parse(await text("POST", "/v1/executions", body));
    return (await untilEnded(server, id)).data.s.output.route;
  };
  const values = {
    "356686000032329832.0": "356686000032329832",
    "356686000032329831": "default",
    "1.10000000000000000001": "1.10000000000000000001",
    "1.1": "default",
    "1E2": "100",
    "-0": "0",
    "0.0000001": "1e-7",
  };
  const found = Object.keys(values).map(async (value) => [value, await routeOf(value)]);
  expect(Object.fromEntries(await Promise.all(found))).toEqual(values);
});

test("a number where a setting, an id or nothing so large may stand is refused by name", async () => {
  const wrong = `{"id":${large},"type":"user","name":"exact","priority":1.00000000000000000001,
    "timeoutSeconds":1e300,"parameters":{"a":[${"9".repeat(400)}]}}`;
  const body = `{"name":"wrong","rootAction":${large},"actions":[${wrong}],"output":1e400}`;
  const { error } = JSON.parse(await text("POST", "/v1/workflows", body));
  const told = error.details.map(({ pointer, message }: Record<string, string>) => [
    pointer,
    / not ([^ ;]+)\.|number (\S+) is/.exec(message!)?.slice(1).join(""),
  ]);
  expect(told).toEqual([
    ["/rootAction", large],
    ["/actions/0/id", large],
    ["/actions/0/priority", "1.00000000000000000001"],
    ["/actions/0/timeoutSeconds", "1e+300"],
    ["/actions/0/parameters/a/0", `${"9".repeat(80)}…`],
    ["/output", "1e400"],
  ]);
});
