/**
 * Every state in which a server may leave work in its store, each made by the server of one version
 * and brought to its end by that of another. Names of workflows and actions begin with the state's.
 * Deadlines lie a little after the making: when a fixture is opened later they are all over.
 */
import { expect } from "bun:test";
import { records } from "./records.ts";
import { definition, type Facts, type State, soonSeconds, user } from "./site.ts";
import { waits } from "./waits.ts";

const attemptsOf = (view: Facts, action: string) =>
  view.actions
    .find(({ id }: Facts) => `${id}` === action)
    .attempts.map(({ number, error }: Facts) => [number, error?.code]);

const queued: State = {
  async prepare(site) {
    const actions = [
      user(1, "queued-step", { parameters: { big: "$.input.big" }, next: { default: 2 } }),
      user(2, "queued-step", { parameters: { before: "$1.output.big" } }),
    ];
    await site.save(definition("queued", actions, { output: { n: "$.input.n" } }));
    // The number is exact only as text.
    const body = '{"workflow":"queued","input":{"n":9007199254740993,"big":"…"},"priority":7}';
    const headers = { "idempotency-key": "queued-1" };
    const { id } = await site.ask("POST", "/v1/executions", body, headers);
    return { id, body, headers };
  },
  async finish(site, { id, body, headers }) {
    const again = await site.ask("POST", "/v1/executions", body, headers);
    expect(again.id).toBe(id);
    const other = { workflow: "queued", input: {} };
    expect((await site.call("POST", "/v1/executions", other, headers)).status).toBe(409);
    const view = await site.completed(id);
    expect(attemptsOf(view, "1")).toEqual([[1, undefined]]);
    const response = await fetch(`${site.url}/v1/executions/${id}/result`, {
      headers: { authorization: `Bearer ${site.key}` },
    });
    expect(await response.text()).toContain('{"n":9007199254740993}');
  },
};

const otherQueue: State = {
  async prepare(site) {
    await site.save(definition("other", [user("a", "other-task", { queue: "special" })]));
    return { id: await site.start("other") };
  },
  async finish(site, { id }) {
    const [task] = await site.poll("other-task", { queues: ["special"] });
    expect(task?.executionId).toBe(id);
    expect(await site.complete([{ token: task?.token, output: 1 }])).toEqual(["ACCEPTED"]);
    await site.completed(id);
  },
};

const leased: State = {
  async prepare(site) {
    const rules = { timeoutSeconds: soonSeconds };
    await site.save(definition("leased", [user("a", "leased-step", rules)]));
    const id = await site.start("leased");
    const [task] = await site.poll("leased-step");
    return { id, token: task?.token };
  },
  async finish(site, { id, token }) {
    const view = await site.completed(id);
    expect(attemptsOf(view, "a")).toEqual([
      [1, "TIMEOUT"],
      [2, undefined],
    ]);
    expect(await site.complete([{ token, output: "late" }])).toEqual(["STALE"]);
  },
};

/** Its second task was leased by the commit that added it, to the poll that brought the first. */
const handedOff: State = {
  async prepare(site) {
    const rules = { heartbeatSeconds: soonSeconds };
    await site.save(
      definition("handed", [
        user("a", "handed-step", { ...rules, next: { default: "b" } }),
        user("b", "handed-step", rules),
      ]),
    );
    const id = await site.start("handed");
    const heartbeats = true;
    const [first] = await site.poll("handed-step", { heartbeats });
    const results = [{ token: first?.token, output: { from: "a" } }];
    const [second] = await site.poll("handed-step", { heartbeats, results });
    return { id, tokens: [first?.token, second?.token] };
  },
  async finish(site, { id, tokens }) {
    const view = await site.completed(id);
    expect(attemptsOf(view, "a")).toEqual([[1, undefined]]);
    expect(attemptsOf(view, "b")).toEqual([
      [1, "HEARTBEAT_LOST"],
      [2, undefined],
    ]);
    expect(view.data.a.output).toEqual({ from: "a" });
    const late = tokens.map((token: string) => ({ token, output: "late" }));
    expect(await site.complete(late)).toEqual(["DUPLICATE", "STALE"]);
  },
};

const retrying: State = {
  async prepare(site) {
    const retry = { retryCount: 2, retryPolicy: "FIXED", retryAfterSeconds: soonSeconds };
    await site.save(definition("retrying", [user("a", "retrying-step", { retry })]));
    const id = await site.start("retrying");
    const [task] = await site.poll("retrying-step");
    const failure = { code: "NO", message: "not now", details: { why: [1] } };
    await site.complete([{ token: task?.token, failure }]);
    return { id };
  },
  async finish(site, { id }) {
    const view = await site.completed(id);
    expect(attemptsOf(view, "a")).toEqual([
      [1, "NO"],
      [2, undefined],
    ]);
    expect(view.actions[0].attempts[0].error.details).toEqual({ why: [1] });
  },
};

/** Branches of which one has ended, one is leased and one waits. */
const joining: State = {
  async prepare(site) {
    const wait = { id: "w", type: "system", name: "wait", event: "go" };
    const branches = ["a", "b"].map((id) =>
      user(id, `joining-${id}-step`, { timeoutSeconds: soonSeconds, next: { default: "all" } }),
    );
    const failed = user("f", "joining-f", { optional: true, retry: { retryCount: 0 } });
    const parameters = { a: "$.a.output", why: "$.f.output.error.code" };
    await site.save(
      definition(
        "joining",
        [
          ...branches,
          { ...wait, next: { default: ["all", "two"] } },
          { ...failed, next: { default: ["two"] } },
          user("all", "joining-step", { join: "all", parameters }),
          user("two", "joining-step", { join: 2 }),
        ],
        { rootAction: ["a", "b", "w", "f"] },
      ),
    );
    const id = await site.start("joining");
    const [a] = await site.poll("joining-a-step");
    await site.complete([{ token: a?.token, output: "first" }]);
    await site.poll("joining-b-step");
    const [f] = await site.poll("joining-f");
    const failure = { code: "F", message: "it fails" };
    await site.complete([{ token: f?.token, failure }]);
    return { id };
  },
  async finish(site, { id }) {
    await site.ask("POST", `/v1/executions/${id}/signal`, { event: "go" });
    const view = await site.completed(id);
    expect(view.data.all.output).toEqual({ a: "first", why: "F" });
    expect(attemptsOf(view, "b")).toEqual([
      [1, "TIMEOUT"],
      [2, undefined],
    ]);
  },
};

/** More actions than one chunk of records holds, a history of many pieces, outputs of all sizes. */
const long: State = {
  async prepare(site) {
    const count = 150;
    const actions = Array.from({ length: count }, (_, i) =>
      user(`a${i}`, "long-step", { ...(i + 1 < count && { next: { default: `a${i + 1}` } }) }),
    );
    await site.save(definition("long", actions));
    const id = await site.start("long");
    let results: object[] = [];
    for (let i = 0; i < count - 10; i++) {
      const [task] = await site.poll("long-step", { results });
      const output = "x".repeat(i % 10 === 0 ? 3_000 : i);
      results = [{ token: task?.token, output }];
    }
    await site.complete(results);
    return { id, count, history: (await site.ask("GET", historyOf(id))).items };
  },
  async finish(site, { id, count, history }) {
    const view = await site.completed(id);
    expect(Object.keys(view.data).filter((name) => /^a\d+$/.test(name))).toHaveLength(count);
    expect(view.data.a50.output).toBe("x".repeat(3_000));
    expect(view.data.a49.output).toBe("x".repeat(49));
    const { items } = await site.ask("GET", historyOf(id));
    expect(items.slice(0, history.length)).toEqual(history);
    expect(items.map(({ sequence }: Facts) => sequence)).toEqual(
      Array.from(items, (_, i) => i + 1),
    );
  },
};

const historyOf = (id: string) => `/v1/executions/${id}/history?limit=500`;

const unclaimed: State = {
  async prepare(site) {
    const rules = { queueTimeoutSeconds: soonSeconds, onError: { QUEUE_TIMEOUT: "b" } };
    const handler = user("b", "unclaimed-step", { parameters: { code: "$.a.output.error.code" } });
    await site.save(definition("unclaimed", [user("a", "unclaimed-nobody", rules), handler]));
    return { id: await site.start("unclaimed") };
  },
  async finish(site, { id }) {
    expect((await site.completed(id)).data.b.output).toEqual({ code: "QUEUE_TIMEOUT" });
  },
};

/** The server is ended while it runs: of its states this one is made last. */
const scripted: State = {
  async prepare(site) {
    const expression = "let sum = 0; for (let i = 0; i < 3e6; i++) sum += i % 7; $.sum = sum;";
    const script = { id: "s", type: "system", name: "javascript", expression };
    const after = user("a", "scripted-step", { parameters: { sum: "$.s.output.sum" } });
    await site.save(definition("scripted", [{ ...script, next: { default: "a" } }, after]));
    const id = await site.start("scripted");
    expect((await site.view(id)).actions[0].status).toBe("RUNNING");
    return { id };
  },
  async finish(site, { id }) {
    const { data } = await site.completed(id);
    let sum = 0;
    for (let i = 0; i < 3e6; i++) sum += i % 7;
    expect(data.a.output).toEqual({ sum });
  },
};

export const states: Readonly<Record<string, State>> = {
  ...records,
  ...waits,
  queued,
  otherQueue,
  leased,
  handedOff,
  retrying,
  joining,
  long,
  unclaimed,
  scripted,
};
