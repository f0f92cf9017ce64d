/**
 * `bun run bench:map`: what an item of a map costs a server, of one map with many items and of as many
 * items in small maps, in turn. Prints a table; nothing here passes or fails.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { integer } from "../src/config/settings.ts";
import {
  allEnded,
  call,
  median,
  startServer,
  startWorker,
  stop,
  storeIn,
  usage,
} from "./bench/support.ts";
import { readOptions } from "./options.ts";

const options = readOptions("Items of maps: what they cost, however many there are.", {
  store: { type: "string", default: "sqlite", about: "sqlite (a new file), or an empty Redis" },
  items: { type: "string", default: "10000", about: "of the large map", read: integer(1, 100_000) },
  small: { type: "string", default: "100", about: "of a small one", read: integer(1, 100_000) },
  window: { type: "string", default: "50", about: "maxConcurrency", read: integer(1, 1_000) },
  rounds: { type: "string", default: "5", about: "of each, in turn", read: integer(1, 100) },
});
const [items, small, rounds] = [options.items, options.small, options.rounds].map(Number) as [
  number,
  number,
  number,
];

const folder = mkdtempSync(join(tmpdir(), "orchy-bench-"));
const store = storeIn(folder, options.store);
const server = await startServer({ store });
const worker = await startWorker(server.url, { transport: "http2", polls: 2 });
await call(server.url, "/v1/workflows", {
  name: "bench-map",
  rootAction: "all",
  actions: [
    {
      id: "all",
      type: "system",
      name: "map",
      items: "$.input.items",
      action: "bench-step",
      parameters: { value: "$.item" },
      maxConcurrency: Number(options.window),
    },
  ],
});

/** Microseconds of the server's processor for each item, and items a second. */
async function run(maps: number, count: number): Promise<{ cost: number; rate: number }> {
  const list = Array.from({ length: count }, (_, index) => index);
  const before = usage(server.process.pid).cpu;
  const begun = performance.now();
  for (let map = 0; map < maps; map++) {
    const body = { workflow: "bench-map", input: { items: list } };
    const { id } = await call(server.url, "/v1/executions", body);
    await allEnded(server.url, [String(id)]);
  }
  const seconds = (performance.now() - begun) / 1000;
  const cpu = usage(server.process.pid).cpu - before;
  return { cost: (cpu * 1e6) / (maps * count), rate: (maps * count) / seconds };
}

const maps = Math.max(1, Math.round(items / small));
await run(maps, small);
const large: Awaited<ReturnType<typeof run>>[] = [];
const many: Awaited<ReturnType<typeof run>>[] = [];
for (let round = 0; round < rounds; round++) {
  large.push(await run(1, items));
  many.push(await run(maps, small));
}
const row = (name: string, runs: typeof large) => ({
  maps: name,
  "CPU µs/item": Math.round(median(runs.map(({ cost }) => cost))),
  "items/s": Math.round(median(runs.map(({ rate }) => rate))),
});
console.table([row(`1 of ${items}`, large), row(`${maps} of ${small}`, many)]);
const ratio = median(large.map(({ cost }, round) => cost / many[round]!.cost));
console.log(
  `ratio of their costs: ${ratio.toFixed(2)}, memory: ${Math.round(usage(server.process.pid).rss)} MiB`,
);
await stop(worker);
await stop(server);
rmSync(folder, { recursive: true, force: true });
