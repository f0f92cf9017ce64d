/** The client of http actions, against real servers on this machine. */
import { afterAll, describe, expect, test } from "bun:test";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { limits } from "../../src/base/limits.ts";
import { AllowList } from "../../src/http/allow-list.ts";
import { HttpClient, type HttpRequest } from "../../src/http/client.ts";

const bomb = gzipSync(Buffer.alloc(10_000_000));
const packed = {
  gzip: gzipSync("packed"),
  deflate: deflateSync("packed"),
  br: brotliCompressSync("packed"),
};
const seen: { path: string; method: string; headers: Headers; body: string }[] = [];

const target = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    const { method, headers } = request;
    seen.push({ path: pathname, method, headers, body: await request.text() });
    const to = searchParams.get("to");
    if (pathname === "/redirect") {
      const status = Number(searchParams.get("status") ?? 302);
      return new Response("moved", { status, headers: { location: to! } });
    }
    if (pathname === "/large") return new Response(Buffer.alloc(5_000));
    if (pathname === "/packed") {
      const coding = searchParams.get("as") as keyof typeof packed;
      return new Response(packed[coding], { headers: { "content-encoding": coding } });
    }
    if (pathname === "/bomb") {
      return new Response(bomb, { headers: { "content-encoding": "gzip" } });
    }
    if (pathname === "/cookies") {
      const response = new Response("ok", { status: 404 });
      response.headers.append("set-cookie", "a=1");
      response.headers.append("set-cookie", "b=2");
      return response;
    }
    return new Response(`hello ${headers.get("host")}`);
  },
});
afterAll(() => target.stop(true));

/** Names and what they stand for; what is not here does not exist. */
const names: Readonly<Record<string, readonly string[]>> = {
  "api.example": ["127.0.0.1"],
  "other.example": ["127.0.0.1"],
  "inside.example": ["10.0.0.1"],
};
let asked: string[] = [];
const lookup = async (name: string) => {
  asked.push(name);
  const found = names[name];
  if (found === undefined) throw new Error(`no such name: ${name}`);
  return found.map((address) => ({ address, family: 4 }));
};

const client = (...entries: string[]) => new HttpClient({ allow: new AllowList(entries), lookup });
const at = (host: string, path = "/") => `http://${host}:${target.port}${path}`;

function request(url: string, more: Partial<HttpRequest> = {}): HttpRequest {
  return {
    method: "GET",
    url: new URL(url),
    headers: new Map(),
    body: undefined,
    responseBytesMax: 1_000,
    signal: new AbortController().signal,
    ...more,
  };
}

const refusal = (sent: Promise<unknown>) =>
  sent.then(
    () => "no refusal",
    (error) => `${error.code} ${error.message}`,
  );

describe("who is called", () => {
  test("a listed name goes to the address that was checked, under its own name", async () => {
    asked = [];
    const allowed = client("api.example", "127.0.0.1");
    const { status, body } = await allowed.send(request(at("api.example")));
    expect([status, body.toString()]).toEqual([200, `hello api.example:${target.port}`]);
    // Asked once: what is connected to is what was checked.
    expect(asked).toEqual(["api.example"]);
  });

  test("names that stand for addresses inside are refused", async () => {
    const said = await refusal(client("api.example").send(request(at("api.example"))));
    expect(said).toStartWith("HTTP_NOT_ALLOWED api.example stands for 127.0.0.1");
    expect(said).toContain("--http-allow");
  });

  test("hosts that are not listed are refused before they are looked up", async () => {
    asked = [];
    for (const host of ["other.example", "127.0.0.1", "[::1]", "localhost"]) {
      const said = await refusal(client("api.example").send(request(at(host))));
      expect(said).toStartWith("HTTP_NOT_ALLOWED This server may not call ");
    }
    expect(asked).toEqual([]);
  });

  test("other protocols are refused", async () => {
    const said = await refusal(client("*").send(request("file:///etc/passwd")));
    expect(said).toBe("HTTP_NOT_ALLOWED file: is not http: or https:.");
  });

  test("a name that nobody knows, and a port where nobody listens, are unreachable", async () => {
    const said = await refusal(client("*").send(request("http://none.example/")));
    expect(said).toBe(
      "HTTP_UNREACHABLE none.example cannot be reached: no such name: none.example.",
    );
    const closed = await refusal(client("127.0.0.1").send(request("http://127.0.0.1:1/")));
    expect(closed).toStartWith("HTTP_UNREACHABLE 127.0.0.1:1 cannot be reached: ");
  });
});

describe("redirects", () => {
  const both = () => client("api.example", "other.example", "inside.example", "127.0.0.1");

  test("are followed, and each hop is checked", async () => {
    const way = at("api.example", `/redirect?to=${encodeURIComponent(at("other.example"))}`);
    const { body } = await both().send(request(way));
    expect(body.toString()).toBe(`hello other.example:${target.port}`);
    const inside = encodeURIComponent("http://inside.example/");
    const said = await refusal(both().send(request(at("api.example", `/redirect?to=${inside}`))));
    expect(said).toStartWith("HTTP_NOT_ALLOWED inside.example stands for 10.0.0.1");
    const metadata = encodeURIComponent("http://169.254.169.254/latest");
    const other = await refusal(
      client("*", "127.0.0.1").send(request(at("api.example", `/redirect?to=${metadata}`))),
    );
    expect(other).toStartWith("HTTP_NOT_ALLOWED This server may not call 169.254.169.254.");
  });

  test("keep what is private to the origin that it was for", async () => {
    seen.length = 0;
    const headers = new Map([
      ["authorization", "secret"],
      ["cookie", "a=1"],
      ["x-own", "kept"],
    ]);
    const away = at(
      "api.example",
      `/redirect?to=${encodeURIComponent(at("other.example", "/away"))}`,
    );
    await both().send(request(away, { headers }));
    const home = at("api.example", "/redirect?to=/home");
    await both().send(request(home, { headers }));
    const of = (path: string) => seen.find((one) => one.path === path)!.headers;
    expect([of("/away").get("authorization"), of("/away").get("cookie")]).toEqual([null, null]);
    expect(of("/away").get("x-own")).toBe("kept");
    expect(of("/home").get("authorization")).toBe("secret");
  });

  test.each([
    [301, "POST", "GET", ""],
    [302, "POST", "GET", ""],
    [303, "PUT", "GET", ""],
    [307, "POST", "POST", "body"],
    [308, "PUT", "PUT", "body"],
    [302, "PUT", "PUT", "body"],
  ])("after %d a %s goes on as %s", async (status, method, then, body) => {
    seen.length = 0;
    const way = at("api.example", `/redirect?to=/end&status=${status}`);
    await both().send(request(way, { method, body: Buffer.from("body") }));
    expect(seen.map((one) => [one.method, one.body])).toEqual([
      [method, "body"],
      [then, body],
    ]);
  });

  test("come to an end", async () => {
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => new Response("", { status: 302, headers: { location: "/" } }),
    });
    const said = await refusal(
      client("127.0.0.1").send(request(`http://127.0.0.1:${server.port}/`)),
    );
    await server.stop(true);
    expect(said).toBe(
      `HTTP_UNREACHABLE There were more than ${limits.httpRedirectsMax} redirects.`,
    );
  });
});

describe("responses", () => {
  const local = client("127.0.0.1");

  test("are unpacked", async () => {
    for (const coding of Object.keys(packed)) {
      const { body } = await local.send(request(at("127.0.0.1", `/packed?as=${coding}`)));
      expect([coding, body.toString()]).toEqual([coding, "packed"]);
    }
  });

  test("beyond the bound are refused, also when they become it by unpacking", async () => {
    const allowed = request(at("127.0.0.1", "/large"), { responseBytesMax: 5_000 });
    expect((await local.send(allowed)).body.byteLength).toBe(5_000);
    for (const path of ["/large", "/bomb"]) {
      const said = await refusal(
        local.send(request(at("127.0.0.1", path), { responseBytesMax: 4_999 })),
      );
      expect(said).toBe(
        "HTTP_RESPONSE_TOO_LARGE The response is larger than 4,999 bytes; see responseBytesMax.",
      );
    }
  });

  test("have their status and headers", async () => {
    const { status, headers } = await local.send(request(at("127.0.0.1", "/cookies")));
    expect(status).toBe(404);
    expect(headers["set-cookie"]).toEqual(["a=1", "b=2"]);
  });

  test("that are cut off are no responses", async () => {
    const server = Bun.listen({
      port: 0,
      hostname: "127.0.0.1",
      socket: {
        data(socket) {
          socket.end("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
        },
      },
    });
    const said = await refusal(local.send(request(`http://127.0.0.1:${server.port}/`)));
    server.stop(true);
    expect(said).toStartWith("HTTP_UNREACHABLE ");
  });

  test("that do not come are given up with the caller", async () => {
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => new Promise<Response>(() => {}),
    });
    const abort = new AbortController();
    const sent = local.send(request(`http://127.0.0.1:${server.port}/`, { signal: abort.signal }));
    abort.abort(new Error("the caller has enough"));
    expect(await refusal(sent)).toBe("undefined the caller has enough");
    await server.stop(true);
  });
});
