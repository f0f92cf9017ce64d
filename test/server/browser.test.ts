/** What pages of strangers can do to a server without keys, in a real browser. */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chromiumMissing, type Site, serveSite, visit } from "../support/chromium.ts";
import { call } from "../support/orchy.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";

setDefaultTimeout(120_000);

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** Written once as JSON, so that a page can send it as it is. */
const workflow = JSON.stringify({
  name: "theirs",
  rootAction: 1,
  actions: [{ id: 1, type: "user", name: "theirs" }],
});
const firstKey = JSON.stringify({ name: "theirs", scopes: ["admin"] });
const poll = JSON.stringify({ actions: ["mine"] });

function serve(script: string): Site {
  const site = serveSite(script);
  stops.push(() => site.stop());
  return site;
}

async function startOrchy(http: number, flags: string[] = []): Promise<ServerProcess> {
  const server = await startProcess("memory:", { http }, ["--log-level", "info", ...flags]);
  stops.push(async () => {
    server.child.kill("SIGTERM");
    await server.child.exited;
  });
  return server;
}

/** What the owner sees. */
async function contents(server: ServerProcess): Promise<object> {
  const keys = await call(server, "GET", "/v1/keys");
  const workflows = await call(server, "GET", "/v1/workflows");
  return { keys: keys.body.items, workflows: workflows.body.items };
}

describe.skipIf(chromiumMissing !== undefined)("a server without keys", () => {
  test("a page whose name comes to lead to this machine can neither read nor change", async () => {
    const site = serve(`
      const ask = (path, body) =>
        fetch(path, body && { method: "POST", headers: { "content-type": "application/json" }, body })
          .then(async (answer) => ({ status: answer.status, text: await answer.text() }));
      const isPage = ({ text }) => text.startsWith("<!doctype");
      let live;
      do { live = await ask("/health/live").catch(() => undefined); } while (!live || isPage(live));
      const answers = [
        live,
        await ask("/v1/executions"),
        await fetch("/v1/executions", { headers: { "content-type": "application/grpc" } })
          .then(async (answer) => ({ status: answer.status, text: await answer.text() })),
        await ask("/v1/workflows", ${JSON.stringify(workflow)}),
        await ask("/orchy.v1.WorkerService/Poll", ${JSON.stringify(poll)}),
        await ask("/TaskService/GetServers", "{}"),
        await ask("/v1/keys", ${JSON.stringify(firstKey)}),
      ];
      report(answers.map(({ status, text }) => [status, text.includes("--allowed-hosts")]));
    `);
    stops.push(visit(`http://evil.example:${site.port}/`));
    await site.visited;
    // From now on the name leads to Orchy, on the same port: the page keeps its origin.
    await site.leave();
    const server = await startOrchy(site.port);
    expect(await site.reported).toEqual(Array(7).fill([421, true]));
    expect(await contents(server)).toEqual({ keys: [], workflows: [] });
  });

  test("a page cannot change anything by what it sends and is not shown the answer to", async () => {
    const server = await startOrchy(0);
    const { port } = server;
    const site = serve(`
      const post = (url, body, type) => fetch(url, {
        method: "POST", mode: "no-cors", body: new Blob([body], { type }),
        referrerPolicy: type === "" ? "no-referrer" : "origin",
      }).catch(() => {}); // Even of what was done the answer is withheld from the page.
      let sent = 0;
      for (const name of ["127.0.0.1", "localhost", "here.example"]) {
        for (const type of ["", "text/plain"]) {
          for (const path of ["/workflow", "/metadata/workflow", "/v1/workflows"]) {
            await post("http://" + name + ":${port}" + path, ${JSON.stringify(workflow)}, type);
          }
          await post("http://" + name + ":${port}/v1/keys", ${JSON.stringify(firstKey)}, type);
          sent += 1;
        }
      }
      report(sent);
    `);
    stops.push(visit(`http://attacker.example:${site.port}/`));
    expect(await site.reported).toBe(6);
    expect(await contents(server)).toEqual({ keys: [], workflows: [] });
  });

  test("a page of --cors-origin reads and changes", async () => {
    const site = serve(`
      const orchy = "http://127.0.0.1:" + location.hash.slice(1);
      const headers = { "content-type": "application/json" };
      const saved = await fetch(orchy + "/v1/workflows",
        { method: "POST", headers, body: ${JSON.stringify(workflow)} });
      const listed = await fetch(orchy + "/v1/workflows");
      report([saved.status, (await listed.json()).items.length]);
    `);
    const server = await startOrchy(0, ["--cors-origin", `http://ui.example:${site.port}`]);
    stops.push(visit(`http://ui.example:${site.port}/#${server.port}`));
    expect(await site.reported).toEqual([201, 1]);
  });
});
