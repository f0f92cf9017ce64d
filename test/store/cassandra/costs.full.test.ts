/** Operations cost what the design says, in conditional writes (LWTs) and other statements. */
import { expect, test } from "bun:test";
import { timesEach } from "../../../scripts/bench/store-costs.ts";
import { cassandraCosts, countStatements } from "../../../scripts/cassandra-costs.ts";
import { openCassandraStore } from "../../../src/store/cassandra/open.ts";
import { cassandra } from "../../support/cassandra.ts";
import { describeOn } from "../../support/on-service.ts";
import { handedOff, start } from "../conformance/subject.ts";

const steps = 30;

await describeOn(cassandra, { title: "Cassandra", skipped: "costs on Cassandra" }, (running) => {
  test("each step of a chain of hand-overs is one conditional write", async () => {
    const { counts, stop } = countStatements();
    try {
      const store = await openCassandraStore(running().url("chain"), { namespace: "chain" });
      const token = (step: number) => `1.n.t${step}`;
      const e = await start(store, "e1", { effects: { tasks: [handedOff("t0", token(0))] } });
      const spent: number[] = [];
      for (let step = 0; step < steps; step++) {
        const before = { ...counts };
        const settle = [{ taskId: `t${step}`, token: token(step) }];
        const tasks = [handedOff(`t${step + 1}`, token(step + 1))];
        const data = new Map([[`output:${step}`, '"result"']]);
        await e.commit({ settle, tasks, data, state: `"${step}"`, history: [`"${step}"`] });
        spent.push(counts.conditional - before.conditional);
        expect(counts.serial).toBe(before.serial);
      }
      expect(spent).toEqual(Array(steps).fill(1));
      await store.close();
    } finally {
      stop();
    }
  });

  test("conditional writes of all operations are as planned, and others no more", async () => {
    const costs = await cassandraCosts(running().url("costs"));
    expect(costs.length).toBe(9);
    for (const { operation, planned, total, each } of costs) {
      const { conditional, serial } = planned;
      const exactly = { operation, conditional: conditional * timesEach, serial };
      expect({ operation, conditional: total.conditional, serial: total.serial }).toEqual(exactly);
      // Buckets are entered, read and swept by the minute.
      expect(each.plain).toBeLessThan(planned.plain + 1);
      // Claims read what other claims may have taken, which is more on a busy machine.
      if (!operation.startsWith("claim")) expect(each.reads).toBeLessThan(planned.reads + 2);
    }
  });
});
