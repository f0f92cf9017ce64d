/** What a server keeps that is not under way: what has ended, what follows it, and documents. */
import { expect } from "bun:test";
import { definition, type Facts, type Site, type State, user } from "./site.ts";

const historyOf = (id: string) => `/v1/executions/${id}/history?limit=500`;

/** One of each end, as it reads. */
const finished: State = {
  async prepare(site) {
    const fails = { retry: { retryCount: 0 } };
    await site.save(
      definition("finished", [user("a", "finished-a")]),
      definition("finished-bad", [user("a", "finished-b", fails), user("b", "finished-c")], {
        rootAction: ["a", "b"],
      }),
      definition("finished-late", [user("a", "finished-d")], { timeoutSeconds: 0.05 }),
    );
    const correlationId = "finished-1";
    const good = await site.start("finished", { input: { n: [1] }, correlationId });
    const [a] = await site.poll("finished-a");
    await site.complete([{ token: a?.token, output: { big: "ü".repeat(60_000) } }]);
    const bad = await site.start("finished-bad", { priority: -3 });
    const [b] = await site.poll("finished-b");
    const failure = { code: "BAD", message: "no use", details: [1] };
    await site.complete([{ token: b?.token, failure }]);
    const cancelled = await site.start("finished");
    await site.ask("POST", `/v1/executions/${cancelled}/cancel`, { operationId: "c1" });
    const late = await site.start("finished-late");
    const views = [];
    const histories = [];
    for (const id of [good, bad, cancelled, late]) {
      views.push(await site.ended(id));
      histories.push((await site.ask("GET", historyOf(id))).items);
    }
    return { views, histories, token: a?.token, failed: { token: b?.token, failure } };
  },
  async finish(site, { views, histories, token, failed }) {
    for (const [i, view] of views.entries()) {
      expect(await site.view(view.id)).toMatchObject(view);
      expect((await site.ask("GET", historyOf(view.id))).items).toEqual(histories[i]);
    }
    const statuses = views.map(({ status }: Facts) => status);
    expect(statuses).toEqual(["COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"]);
    const [good, , cancelled] = views;
    expect((await site.list("finished")).map(({ id }) => id)).toEqual([cancelled.id, good.id]);
    const repeated = [{ token, output: "again" }, failed];
    expect(await site.complete(repeated)).toEqual(["DUPLICATE", "DUPLICATE"]);
  },
};

/** Its tombstone stands for as long as the fixture is kept. */
const deleted: State = {
  async prepare(site) {
    await site.save(definition("deleted", [user("a", "deleted-a")]));
    const id = await site.start("deleted", { executionId: "deleted-1" });
    await site.ask("POST", `/v1/executions/${id}/cancel`, {});
    await site.ask("DELETE", `/v1/executions/${id}`);
    return { id };
  },
  async finish(site, { id }) {
    expect((await site.call("GET", `/v1/executions/${id}`)).status).toBe(410);
    const body = { workflow: "deleted", executionId: id };
    const again = await site.call("POST", "/v1/executions", body);
    // Where the tombstone says how it ended, the caller hears so; in Redis those of format 2 do not.
    if (again.status === 202)
      expect(again.body).toMatchObject({ id, created: false, deleted: true });
    else expect(again.status).toBe(410);
    expect((await site.call("GET", `/v1/executions/${id}`)).status).toBe(410);
  },
};

/** One that has ended, and starts another. */
async function endWithFollowUp(site: Site, name: string, parameters: object): Promise<string> {
  const onSuccess = { workflow: `${name}-after`, parameters };
  await site.save(definition(`${name}-after`, [user("a", `${name}-step`)]));
  await site.save(definition(name, [user("a", `${name}-first`)], { onSuccess }));
  const id = await site.start(name);
  const [task] = await site.poll(`${name}-first`);
  await site.complete([{ token: task?.token, output: { n: 5 } }]);
  await site.ended(id);
  return id;
}

/** An execution that still has to send something cannot be deleted. */
async function untilSent(site: Site, id: string): Promise<void> {
  const remove = () => site.call("DELETE", `/v1/executions/${id}`);
  await site.until(remove, ({ status }) => status === 204 || status === 200);
}

/** What follows is in the outbox: the maker's server delivers nothing that has to do with "held". */
const held: State = {
  async prepare(site) {
    return { id: await endWithFollowUp(site, "held", { n: "$.a.output.n" }) };
  },
  async finish(site, { id }) {
    await untilSent(site, id);
    const children = await site.list("held-after");
    expect(children).toHaveLength(1);
    expect((await site.completed(children[0]!.id)).data.input).toEqual({ n: 5 });
  },
};

/** It was delivered, and the outbox does not know: acknowledgements of "unheard" are lost. */
const unheard: State = {
  async prepare(site) {
    const id = await endWithFollowUp(site, "unheard", {});
    const [child] = await site.until(
      () => site.list("unheard-after"),
      (all) => all.length > 0,
    );
    return { id, child: child?.id };
  },
  async finish(site, { id, child }) {
    await untilSent(site, id);
    await site.completed(child);
    expect((await site.list("unheard-after")).map((one) => one.id)).toEqual([child]);
  },
};

/** The same, and what it started has ended and was deleted since. */
const unheardDeleted: State = {
  async prepare(site) {
    const id = await endWithFollowUp(site, "unheard-deleted", {});
    const [child] = await site.until(
      () => site.list("unheard-deleted-after"),
      (all) => all.length > 0,
    );
    await site.ask("POST", `/v1/executions/${child?.id}/cancel`, {});
    await site.ask("DELETE", `/v1/executions/${child?.id}`);
    return { id, child: child?.id };
  },
  async finish(site, { id, child }) {
    await untilSent(site, id);
    expect(await site.list("unheard-deleted-after")).toEqual([]);
    expect((await site.call("GET", `/v1/executions/${child}`)).status).toBe(410);
  },
};

/** Executions end on the version that they began with. */
const versioned: State = {
  async prepare(site) {
    const version = (output: string) =>
      definition("versioned", [user("a", "versioned-step")], { output });
    await site.save(version("one"));
    const first = await site.start("versioned");
    await site.save(version("two"));
    const second = await site.start("versioned");
    await site.save(version("one"));
    await site.save(definition("versioned-gone", [user("a", "versioned-step")]));
    const orphan = await site.start("versioned-gone");
    await site.ask("DELETE", "/v1/workflows/versioned-gone");
    const workflows = await site.ask("GET", "/v1/workflows?limit=500");
    const path = "/v1/workflows/versioned";
    const texts = await Promise.all([1, 2, 3].map((n) => site.ask("GET", `${path}?version=${n}`)));
    return { first, second, orphan, workflows, texts, list: await listVersions(site) };
  },
  async finish(site, { first, second, orphan, workflows, texts, list }) {
    const results = [first, second, await site.start("versioned")].map(async (id: string) => {
      const { version, result } = await site.completed(id);
      return [version, result];
    });
    expect(await Promise.all(results)).toEqual([
      [1, "one"],
      [2, "two"],
      [3, "one"],
    ]);
    await site.completed(orphan);
    expect((await site.call("GET", "/v1/workflows/versioned-gone")).status).toBe(410);
    for (const [i, text] of texts.entries()) {
      const read = await site.ask("GET", `/v1/workflows/versioned?version=${i + 1}`);
      expect(read).toEqual(text);
    }
    expect(await listVersions(site)).toEqual(list);
    // What lists show beside these differs from version to version.
    const listed = ({ items }: Facts) =>
      items.map(({ name, version, savedAt }: Facts) => ({ name, version, savedAt }));
    const now = await site.ask("GET", "/v1/workflows?limit=500");
    expect(listed(now)).toEqual(expect.arrayContaining(listed(workflows)));
  },
};

async function listVersions(site: Site) {
  return (await site.ask("GET", "/v1/workflows/versioned/versions")).items;
}

const registered: State = {
  async prepare(site) {
    const rules = { retryCount: 7, retryPolicy: "BACKOFF", heartbeatSeconds: 5, timeoutSeconds: 9 };
    await site.ask("PUT", "/v1/actions/registered", { ...rules, nonRetryable: ["A", "B"] });
    return (await site.ask("GET", "/v1/actions/registered")).definition;
  },
  async finish(site, rules) {
    expect((await site.ask("GET", "/v1/actions/registered")).definition).toEqual(rules);
  },
};

const keyed: State = {
  async prepare(site) {
    const make = (body: object) => site.ask("POST", "/v1/keys", body);
    const worker = await make({ name: "worker", scopes: ["worker"], actions: ["keyed-a"] });
    const revoked = await make({ name: "revoked", scopes: ["admin"] });
    await site.ask("DELETE", `/v1/keys/${revoked.id}`);
    const { items } = await site.ask("GET", "/v1/keys");
    return { worker: worker.key, revoked: revoked.key, items };
  },
  async finish(site, { worker, revoked, items }) {
    expect((await site.ask("GET", "/v1/keys")).items).toEqual(items);
    const poll = async (key: string, action: string) => {
      const path = "/orchy.v1.WorkerService/Poll";
      const authorization = `Bearer ${key}`;
      return (await site.call("POST", path, { actions: [action] }, { authorization })).status;
    };
    expect(await poll(worker, "keyed-a")).toBe(200);
    expect(await poll(worker, "keyed-b")).toBe(403);
    expect(await poll(revoked, "keyed-a")).toBe(401);
    expect(await poll("orchy_0_0", "keyed-a")).toBe(401);
  },
};

export const records: Readonly<Record<string, State>> = {
  finished,
  deleted,
  held,
  unheard,
  unheardDeleted,
  versioned,
  registered,
  keyed,
};
