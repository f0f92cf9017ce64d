/** What callers get when the store, or Orchy itself, fails. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { MemoryStore } from "../../../src/store/memory/memory-store.ts";
import { StoreFault } from "../../../src/store/store.ts";
import { call, startTestServer, type TestServer } from "./support.ts";
import { echo, waiting } from "./workflows.ts";

/** Fails in the way that is set; `afterwards`: only once it has carried out the call. */
class FailingStore extends MemoryStore {
  fault: Error | undefined;
  afterwards = false;
  /** Only reads of this field fail. */
  ofField: string | undefined;

  override async create(request: Parameters<MemoryStore["create"]>[0]) {
    if (this.fault && !this.afterwards) throw this.fault;
    const answer = await super.create(request);
    if (this.fault) throw this.fault;
    return answer;
  }

  override async load(request: Parameters<MemoryStore["load"]>[0]) {
    const isMeant = this.ofField === undefined || request.fields?.includes(this.ofField);
    if (this.fault && !this.afterwards && isMeant) throw this.fault;
    return super.load(request);
  }

  override async pressure() {
    if (this.fault) throw this.fault;
    return super.pressure();
  }
}

const store = new FailingStore({ partitions: 4 });
let server: TestServer;
const post = (path: string, body?: unknown) => call(server, "POST", path, body);
const get = (path: string) => call(server, "GET", path);

beforeAll(async () => {
  server = await startTestServer({ store });
  for (const definition of [echo, waiting]) await post("/v1/workflows", definition);
});
afterAll(() => server.stop());

async function during<T>(fault: Error, work: () => Promise<T>, afterwards = false): Promise<T> {
  Object.assign(store, { fault, afterwards });
  try {
    return await work();
  } finally {
    Object.assign(store, { fault: undefined, ofField: undefined });
  }
}

test("a store that cannot be reached is 503, with a time to try again", async () => {
  const fault = new StoreFault("not_applied", "secret host refused");
  await during(fault, async () => {
    const reply = await post("/v1/executions", { workflow: "echo" });
    expect(reply.status).toBe(503);
    expect(reply.json.error.code).toBe("UNAVAILABLE");
    expect(Number(reply.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(reply.text).not.toContain("secret");
    expect((await post("/flow/execute", { name: "echo" })).status).toBe(503);
    const ready = await get("/health/ready");
    expect([ready.status, ready.json.ready]).toEqual([503, false]);
    expect((await get("/health/live")).status).toBe(200);
  });
  expect((await get("/health/ready")).status).toBe(200);
});

test("a store that fails when the outputs of an execution are read is no fault of Orchy", async () => {
  const definition = {
    name: "put-out",
    rootAction: "made",
    actions: [{ id: "made", type: "system", name: "transform", parameters: { n: 1 } }],
  };
  await post("/v1/workflows", definition);
  const { id } = (await post("/v1/executions?wait=20", { workflow: "put-out" })).json;
  for (const fault of [
    new StoreFault("not_applied", "connection refused"),
    new StoreFault("unknown", "connection cut"),
  ]) {
    for (const query of ["", "?payloads=small"]) {
      store.ofField = "output:made";
      const reply = await during(fault, () => get(`/v1/executions/${id}${query}`));
      expect(reply.status).toBe(503);
    }
  }
  expect((await get(`/v1/executions/${id}`)).json.data.made.output).toEqual({ n: 1 });
});

test("a full store is told apart", async () => {
  const fault = new StoreFault("not_applied", "disk full", { reason: "exhausted" });
  const reply = await during(fault, () => post("/v1/executions", { workflow: "echo" }));
  expect(reply.json.error.code).toBe("RESOURCE_EXHAUSTED");
});

test("a start whose outcome is unknown answers the id to ask for", async () => {
  const fault = new StoreFault("unknown", "connection cut");
  const reply = await during(fault, () => post("/v1/executions", { workflow: "waiting" }), true);
  expect(reply.status).toBe(503);
  expect(reply.json.error.code).toBe("UNKNOWN_OUTCOME");
  const found = await get(`/v1/executions/${reply.json.error.id}`);
  expect(found.json.status).toBe("RUNNING");
});

test("a fault of Orchy itself tells the caller only where to look for it in the log", async () => {
  const fault = new Error("secret detail");
  const reply = await during(fault, () => get("/v1/executions/x"));
  expect(reply.status).toBe(500);
  expect(reply.text).not.toContain("secret");
  const { reference } = reply.json.error;
  const line = server.log.find((one) => one.reference === reference);
  expect(line).toMatchObject({ level: "error", error: { message: "secret detail" } });
});
