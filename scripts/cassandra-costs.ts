/**
 * What operations of the store cost on Cassandra: `bun scripts/cassandra-costs.ts`, in statements of
 * the client. A conditional write (LWT) is what a step costs at the least.
 */
import { Client } from "cassandra-driver";
import { openCassandraStore } from "../src/store/cassandra/open.ts";
import { cassandraMissing, startCassandra } from "../test/support/cassandra.ts";
import { type Cost, measureCosts, type OperationName, printCosts } from "./bench/store-costs.ts";

type Unit = "conditional" | "plain" | "reads" | "serial";

const plan: Readonly<Record<OperationName, Readonly<Record<Unit, number>>>> = {
  create: { conditional: 1, plain: 4, reads: 0, serial: 0 },
  "handed-over step": { conditional: 1, plain: 0, reads: 0, serial: 0 },
  heartbeat: { conditional: 1, plain: 0, reads: 0, serial: 0 },
  "step into a queue": { conditional: 1, plain: 1, reads: 0, serial: 0 },
  "claim from a queue": { conditional: 1, plain: 1, reads: 2, serial: 0 },
  end: { conditional: 1, plain: 2, reads: 0, serial: 0 },
  "empty look for timers": { conditional: 0, plain: 0, reads: 2, serial: 0 },
  "empty look for messages": { conditional: 0, plain: 0, reads: 2, serial: 0 },
  "empty look into a queue": { conditional: 0, plain: 0, reads: 2, serial: 0 },
};

/** Consistency of a read that decides what is under way. */
const localSerial = 9;

type Send = (this: Client, statements: unknown, ...more: readonly unknown[]) => unknown;

/**
 * Counts what all clients of this process send until `stop`: `conditional` writes (a batch is one),
 * `plain` writes, `reads`, and `serial` reads.
 */
export function countStatements() {
  const counts = { conditional: 0, plain: 0, reads: 0, serial: 0 };
  const kindOf = (query: string, consistency: number | undefined): Unit => {
    if (/^SELECT/.test(query)) return consistency === localSerial ? "serial" : "reads";
    return / IF /.test(query) ? "conditional" : "plain";
  };
  const sends = Client.prototype as unknown as Record<"execute" | "batch", Send>;
  const { execute, batch } = sends;
  sends.execute = function counted(query, ...more) {
    const [, options] = more as [unknown, { readonly consistency?: number }?];
    counts[kindOf(query as string, options?.consistency)] += 1;
    return execute.call(this, query, ...more);
  };
  sends.batch = function counted(statements, ...more) {
    const queries = statements as readonly { readonly query: string }[];
    counts[kindOf(queries.map(({ query }) => query).join("; "), undefined)] += 1;
    return batch.call(this, statements, ...more);
  };
  const stop = () => {
    Object.assign(sends, { execute, batch });
  };
  return { counts, stop };
}

/**
 * `url`: of a keyspace with nothing in this namespace. It has one partition, so that each bucket of
 * hints is entered once, and before it is counted.
 */
export async function cassandraCosts(url: string): Promise<readonly Cost<Unit>[]> {
  const { counts, stop } = countStatements();
  try {
    const store = await openCassandraStore(url, { namespace: `c${Date.now()}`, partitions: 1 });
    const costs = await measureCosts(store, plan, () => counts);
    await store.close();
    return costs;
  } finally {
    stop();
  }
}

if (import.meta.main) {
  const missing = await cassandraMissing();
  if (missing !== undefined) {
    console.error(missing);
    process.exit(1);
  }
  const running = await startCassandra();
  printCosts(await cassandraCosts(running.url("costs")));
  await running.stop();
}
