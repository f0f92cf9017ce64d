/** Tasks that consumers of a broker do, by tickets, while servers, the store and the broker fail. */
import { simulateSeeds } from "./seeds.ts";

simulateSeeds(5_000, 15, {
  consumers: true,
  reaches: [
    ...["ticket not sent", "ticket claimed", "ticket leased", "ticket done", "ticket stale"],
    ...["ticket result accepted", "ticket result done", "ticket result leased"],
    ...["claimTask claimed", "claimTask leased", "claimTask held", "claimTask unknown"],
    ...["result accepted", "lapse", "ideal end"],
  ],
});
