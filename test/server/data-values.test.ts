/** Values of an execution's data, whole and in ranges. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
} from "../support/orchy.ts";

let server: TestServer;
let id: string;
/** More than two bytes a character in places, and numbers that a double would round. */
const text = '{"lines":[{"price":10.10},{"price":12345678901234567890}],"name":"Zoë €"}';

beforeAll(async () => {
  server = await startTestServer();
  const transform = { type: "system", name: "transform" };
  await saveWorkflow(server, {
    name: "values",
    rootAction: "t",
    actions: [
      { id: "t", ...transform, parameters: { copy: "$.input" }, next: { default: "u" } },
      { id: "u", ...transform, parameters: "done" },
    ],
  });
  const body = `{"workflow":"values","input":${text}}`;
  id = (await call(server, "POST", "/v1/executions", body)).body.id;
});

afterAll(() => server.remove());

const at = (path: string) => `${server.url}/v1/executions/${id}/data/${encodeURIComponent(path)}`;

async function read(path: string, range?: string) {
  const response = await fetch(at(path), range === undefined ? {} : { headers: { range } });
  const { status, headers } = response;
  return { status, text: (await response.text()).trimEnd(), range: headers.get("content-range") };
}

describe("a value", () => {
  test.each([
    ["$.input", text],
    ["$.input.lines[1].price", "12345678901234567890"],
    ["$.input.lines[?(@.price > 11)]", '[{"price":12345678901234567890}]'],
    ["$.t.output.copy", text],
    ["$u.output", '"done"'],
    ["$.t.status", '"COMPLETED"'],
  ])("%s is exactly as it is stored", async (path, value) => {
    expect(await read(path)).toEqual({ status: 200, text: value, range: null });
  });

  test("that is not there, or no path, is refused in a sentence", async () => {
    const refused = async (path: string) => {
      const { status, text: found } = await read(path);
      const { message, details } = JSON.parse(found).error;
      return [status, details[0]?.message ?? message];
    };
    expect(await refused("$.input.none")).toEqual([
      404,
      `The execution ${id} has no $.input.none.`,
    ]);
    const all = "It reads the outputs of too many actions. Name one: $.<id>.output.";
    expect(await refused("$.*")).toEqual([400, all]);
    const [status, message] = await refused("input");
    expect([status, message]).toEqual([400, expect.stringContaining("is not a reference")]);
    const unknown = await call(server, "GET", "/v1/executions/none/data/$.input");
    expect(unknown.status).toBe(404);
  });
});

describe("a range", () => {
  const bytes = Buffer.from(text);

  test.each([
    ["bytes=0-9", 0, 9],
    ["bytes=60-", 60, bytes.length - 1],
    ["bytes=-5", bytes.length - 5, bytes.length - 1],
    [`bytes=3-${bytes.length + 100}`, 3, bytes.length - 1],
  ])("%s has those bytes of the value", async (range, first, last) => {
    const response = await fetch(at("$.input"), { headers: { range } });
    expect(response.status).toBe(206);
    expect(response.headers.get("content-range")).toBe(`bytes ${first}-${last}/${bytes.length}`);
    const part = Buffer.from(await response.arrayBuffer());
    expect(part.toString("hex")).toBe(bytes.subarray(first, last + 1).toString("hex"));
  });

  test("all ranges together are the value, of any size", async () => {
    const large = { text: "€".repeat(300_000) };
    const other = await startExecution(server, "values", large);
    const parts: Buffer[] = [];
    let total = 1;
    for (let from = 0; from < total; ) {
      const headers = { range: `bytes=${from}-${from + 65_535}` };
      const response = await fetch(`${server.url}/v1/executions/${other}/data/$.input`, {
        headers,
      });
      const part = Buffer.from(await response.arrayBuffer());
      total = Number(response.headers.get("content-range")!.split("/")[1]);
      parts.push(part);
      from += part.length;
    }
    expect(JSON.parse(Buffer.concat(parts).toString())).toEqual(large);
  });

  test("beyond the end is 416; what is no range of bytes gets the whole", async () => {
    const beyond = await read("$.input", "bytes=1000-");
    expect([beyond.status, beyond.range]).toEqual([416, `bytes */${bytes.length}`]);
    for (const range of ["bytes=5-3", "bytes=0-1,4-5", "lines=1-2", "bytes=-"]) {
      expect((await read("$.input", range)).text).toBe(text);
    }
  });
});
