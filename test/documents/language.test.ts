/** Every example of docs/language.md: saved and run at a server, with workers that do as it says. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { commonFields } from "../../src/language/check/common-fields.ts";
import { kinds } from "../../src/language/kinds/table.ts";
import {
  type Answer,
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { documentAt, type Fence } from "./fences.ts";

/** What stands below a definition. */
interface Run {
  readonly input?: unknown;
  /** By action name: what its worker brings; without an entry its parameters. */
  readonly workers?: Readonly<Record<string, { failure: object }>>;
  readonly signals?: readonly { readonly event: string; readonly payload?: unknown }[];
  readonly status?: string;
  readonly result?: unknown;
  readonly error?: object;
  readonly actions?: Readonly<Record<string, string>>;
  readonly attempts?: Readonly<Record<string, number>>;
  /** It cannot be saved. */
  readonly problems?: readonly object[];
}

interface Example {
  readonly fence: Fence;
  readonly definition: string;
  readonly name: string;
  readonly runs: Fence[];
}

const { text, fences } = documentAt("docs/language.md");
const examples: Example[] = [];
for (const fence of fences) {
  if (fence.language !== "json") continue;
  const value = JSON.parse(fence.text);
  if ("actions" in value && "rootAction" in value) {
    examples.push({ fence, definition: fence.text, name: value.name, runs: [] });
  } else {
    examples.at(-1)!.runs.push(fence);
  }
}

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ store: "memory:" });
});
afterAll(() => server.remove());

const service = (method: string, body: object) =>
  call(server, "POST", `/orchy.v1.WorkerService/${method}`, body);

/** Polls for the user actions of a definition until the execution has ended. */
async function work(definition: string, workers: Run["workers"], ended: Promise<unknown>) {
  const specs: { type: string; name: string; action?: string; queue?: string }[] =
    JSON.parse(definition).actions;
  const user = specs.filter(({ type, action }) => type === "user" || action !== undefined);
  const actions = [...new Set(user.map(({ name, action }) => action ?? name))];
  const queues = [...new Set(user.map(({ queue }) => queue ?? "default"))];
  let isOver = false;
  void ended.finally(() => {
    isOver = true;
  });
  while (!isOver && actions.length > 0) {
    const { body } = await service("Poll", { actions, queues, maxTasks: 10, waitSeconds: 0.1 });
    const results = (body.tasks ?? []).map((task: { token: string; action: string }) => {
      const { token, action, parameters } = task as typeof task & { parameters: unknown };
      return { token, ...(workers?.[action] ?? { output: parameters }) };
    });
    if (results.length > 0) await service("Complete", { results });
  }
}

async function check({ definition, name }: Example, run: Run): Promise<void> {
  const id = await startExecution(server, name, run.input);
  for (const signal of run.signals ?? []) {
    const sent = await call(server, "POST", `/v1/executions/${id}/signal`, signal);
    expect(sent.status).toBe(200);
  }
  const ended = untilEnded(server, id);
  const [body] = await Promise.all([ended, work(definition, run.workers, ended)]);
  expect(body.status).toBe(run.status ?? "COMPLETED");
  if ("result" in run) expect(body.result).toEqual(run.result);
  if (run.error !== undefined) expect(body.error).toMatchObject(run.error);
  const actions: Answer["body"][] = body.actions;
  for (const [action, status] of Object.entries(run.actions ?? {})) {
    expect([action, actions.find(({ id }) => String(id) === action)?.status]).toEqual([
      action,
      status,
    ]);
  }
  for (const [action, count] of Object.entries(run.attempts ?? {})) {
    expect(actions.find(({ id }) => String(id) === action)?.attempts).toHaveLength(count);
  }
}

describe("an example of docs/language.md", () => {
  for (const example of examples) {
    const { fence, definition, name, runs } = example;
    test(`${name} (line ${fence.line})`, async () => {
      expect(runs.length).toBeGreaterThan(0);
      const parsed = runs.map((run): Run => JSON.parse(run.text));
      const refused = parsed.find(({ problems }) => problems !== undefined);
      if (refused !== undefined) {
        const { status, body } = await call(server, "POST", "/v1/workflows", definition);
        expect([status, body.error.details]).toEqual([422, refused.problems]);
        return;
      }
      await saveWorkflow(server, definition);
      for (const run of parsed) await check(example, run);
    });
  }

  test("becomes what the table of templates says", async () => {
    const input = JSON.parse(/With the input `(\{.*\})`/.exec(text)![1]!);
    const table = /^\| template .*\n\| -.*\n((?:\|.*\n)+)/m.exec(text)![1]!;
    const rows = table.trim().split("\n");
    for (const row of rows) {
      const [, templates, becomes] = row.split(/(?<!\\)\|/);
      const value = JSON.parse(/`(.*)`/.exec(becomes!)![1]!);
      for (const [, template] of templates!.matchAll(/`(.*?)`(?=,| *$)/g)) {
        await saveWorkflow(server, {
          name: "row",
          rootAction: "t",
          actions: [
            { id: "t", type: "system", name: "transform", parameters: JSON.parse(template!) },
          ],
        });
        const { result } = await untilEnded(server, await startExecution(server, "row", input));
        expect([template, result]).toEqual([template, value]);
      }
    }
    expect(rows.length).toBeGreaterThan(8);
  });

  test("shows every field", () => {
    const shown = new Set(
      examples.flatMap(({ definition }) => memberNames(JSON.parse(definition))),
    );
    const fields = Object.values(kinds).flatMap((kind) => kind.fields.map(([field]) => field));
    const all = [...commonFields.map(([field]) => field), ...fields];
    expect(all.filter((field) => !shown.has(field))).toEqual([]);
    for (const field of all) expect(text).toContain(`| \`${field}\` `);
  });
});

function memberNames(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  const inner = Object.values(value).flatMap(memberNames);
  return Array.isArray(value) ? inner : [...Object.keys(value), ...inner];
}
