/**
 * The records store under whole servers: calls fail, and servers end, between any two of its
 * primitives; `npm run simulate -- --records --minutes 10` makes more of them.
 */
import { simulateSeeds } from "./seeds.ts";

simulateSeeds(1, 25, {
  shared: "records",
  reaches: [
    ...["create created", "commit committed", "commit conflict", "extendLeases extended"],
    ...["releaseTasks released", "hand-off", "lapse", "result accepted", "ideal end"],
  ],
});
