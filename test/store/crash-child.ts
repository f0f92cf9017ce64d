/**
 * The process that sqlite-crash.test.ts kills: it drives some executions without end and prints
 * `<execution> <revision>` after each acknowledged commit. Run with the path of the file.
 */
import { writeSync } from "node:fs";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { createRequest, Driven, effects, handedOff, partitions } from "./conformance/subject.ts";

export const crashExecutions = Array.from({ length: 24 }, (_, i) => `e${i}`);

/** What an execution owns at a revision: one leased task, and a field and an entry for each step. */
export function stepAt(revision: number) {
  const task = handedOff(`t${revision}`, `token-${revision}`);
  return { task, field: `output:${revision}`, entry: `${revision}`, state: `{"at":${revision}}` };
}

async function drive(path: string): Promise<void> {
  const store = openSqliteStore({ path, partitions });
  const acknowledge = (id: string, revision: number) => writeSync(1, `${id} ${revision}\n`);

  const run = async (id: string) => {
    const { task, entry, state } = stepAt(1);
    const first = createRequest(id, {
      state,
      effects: effects({ tasks: [task], history: [entry] }),
    });
    const created = await store.create(first);
    if (created.outcome === "created") acknowledge(id, 1);
    const loaded = await store.load({ key: first.key, fields: [] });
    if (loaded.outcome !== "loaded") throw new Error(`${id}: ${loaded.outcome}`);
    const driven = new Driven(store, first.key, loaded.head);
    for (;;) {
      const before = stepAt(driven.head.revision);
      const { task: next, field, entry: line, state: text } = stepAt(driven.head.revision + 1);
      const settle = [{ taskId: before.task.id, token: before.task.lease?.token ?? "" }];
      const commitId = `${id}-${driven.head.revision}-${process.pid}`;
      const data = new Map([[field, line]]);
      const answer = await driven.try({
        commitId,
        state: text,
        data,
        settle,
        tasks: [next],
        history: [line],
      });
      if (answer.outcome !== "committed") throw new Error(`${id}: ${JSON.stringify(answer)}`);
      acknowledge(id, answer.head.revision);
    }
  };
  await Promise.all(crashExecutions.map(run));
}

if (import.meta.main) await drive(process.argv[2] as string);
