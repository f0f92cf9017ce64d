/** States in which an execution waits for a moment or an event. */
import { expect } from "bun:test";
import { definition, type State, soonSeconds, user } from "./site.ts";

const delayed: State = {
  async prepare(site) {
    const delay = { id: "d", type: "system", name: "delay", delaySeconds: soonSeconds };
    const after = user("a", "delayed-step");
    await site.save(definition("delayed", [{ ...delay, next: { default: "a" } }, after]));
    return { id: await site.start("delayed", { correlationId: "delayed-ü" }) };
  },
  async finish(site, { id }) {
    await site.completed(id);
    const path = `/v1/executions?correlationId=${encodeURIComponent("delayed-ü")}`;
    expect((await site.ask("GET", path)).items).toMatchObject([{ id, status: "COMPLETED" }]);
  },
};

const waiting: State = {
  async prepare(site) {
    const wait = { id: "w", type: "system", name: "wait", event: "go" };
    const after = user("a", "waiting-step", { parameters: { got: "$.w.output.payload" } });
    await site.save(definition("waiting", [{ ...wait, next: { go: "a" } }, after]));
    return { id: await site.start("waiting") };
  },
  async finish(site, { id }) {
    const body = { event: "go", payload: { n: 5 } };
    await site.ask("POST", `/v1/executions/${id}/signal`, body);
    expect((await site.completed(id)).data.a.output).toEqual({ got: { n: 5 } });
  },
};

const waitedFor: State = {
  async prepare(site) {
    const wait = { id: "w", type: "system", name: "wait", event: ["x", "y"] };
    const rules = { timeoutSeconds: soonSeconds, next: { timeout: "a", default: [] } };
    await site.save(definition("waited", [{ ...wait, ...rules }, user("a", "waited-step")]));
    return { id: await site.start("waited") };
  },
  async finish(site, { id }) {
    expect((await site.completed(id)).data.w.output).toEqual({ timedOut: true });
  },
};

/** Signals that have come before their wait, and are remembered by their ids. */
const signalled: State = {
  async prepare(site) {
    const wait = (id: string, next: object) => ({
      id,
      type: "system",
      name: "wait",
      event: "go",
      ...next,
    });
    await site.save(
      definition("signalled", [
        user("a", "signalled-step", { next: { default: "v" } }),
        wait("v", { next: { default: "w" } }),
        wait("w", {}),
      ]),
    );
    const id = await site.start("signalled", { signal: { event: "go", payload: 1 } });
    const second = { event: "go", payload: "2".repeat(50_000), signalId: "s2" };
    await site.ask("POST", `/v1/executions/${id}/signal`, second);
    return { id };
  },
  async finish(site, { id }) {
    const second = { event: "go", payload: "2".repeat(50_000), signalId: "s2" };
    const repeated = await site.call("POST", `/v1/executions/${id}/signal`, second);
    expect(repeated.body).toEqual({ outcome: "duplicate" });
    const { data } = await site.completed(id);
    expect([data.v.output.payload, data.w.output.payload]).toEqual([1, second.payload]);
  },
};

const paused: State = {
  async prepare(site) {
    const delay = { id: "d", type: "system", name: "delay", delaySeconds: soonSeconds };
    const actions = [user("a", "paused-step"), { ...delay, next: { default: "b" } }];
    const more = { rootAction: ["a", "d"], timeoutSeconds: 3_600 };
    await site.save(definition("paused", [...actions, user("b", "paused-step")], more));
    const id = await site.start("paused");
    await site.ask("POST", `/v1/executions/${id}/pause`, { operationId: "p1" });
    return { id };
  },
  async finish(site, { id }) {
    expect((await site.view(id)).status).toBe("PAUSED");
    await site.ask("POST", `/v1/executions/${id}/resume`, { operationId: "r1" });
    // The pause was heard before; its repeat changes nothing.
    await site.ask("POST", `/v1/executions/${id}/pause`, { operationId: "p1" });
    await site.completed(id);
  },
};

const timedOut: State = {
  async prepare(site) {
    const onFailure = { workflow: "timedout-after", parameters: { why: "$.execution.error" } };
    const more = { timeoutSeconds: soonSeconds, onFailure };
    await site.save(definition("timedout-after", [user("a", "timedout-step")]));
    await site.save(definition("timedout", [user("a", "timedout-nobody")], more));
    return { id: await site.start("timedout") };
  },
  async finish(site, { id }) {
    expect((await site.ended(id)).status).toBe("TIMED_OUT");
    const [child] = await site.until(
      () => site.list("timedout-after"),
      (all) => all.length > 0,
    );
    await site.completed(child!.id);
  },
};

export const waits: Readonly<Record<string, State>> = {
  delayed,
  waiting,
  waitedFor,
  signalled,
  paused,
  timedOut,
};
