/**
 * The PostgreSQL store on the oldest and on the newest version that it is tested with: what its functions
 * do. All of it, on chosen ones, with `ORCHY_TEST_POSTGRES_VERSIONS=14,16,17,18`.
 */
import { describeOn } from "../support/on-service.ts";
import { openEmptyPostgres } from "../support/postgres.ts";
import { type PostgresVersion, postgresOf } from "../support/postgres-versions.ts";
import { allFacets } from "./conformance/suites.ts";
import { postgresDifferentialOn, seedsFrom } from "./differential/suites.ts";
import { postgresConformance } from "./postgres-suite.ts";

const chosen = process.env.ORCHY_TEST_POSTGRES_VERSIONS;
const versions = chosen?.split(",").map((version) => Number(version) as PostgresVersion);
const facets =
  chosen === undefined ? (["executions", "tasks", "due", "outbox"] as const) : allFacets;

for (const version of versions ?? ([14, 18] as const)) {
  const title = `PostgreSQL ${version}`;
  const service = postgresOf(version, { fsync: "off" });
  await describeOn(service, { title, skipped: title }, (running) => {
    postgresConformance((options) => openEmptyPostgres(running().url, options), facets);
    postgresDifferentialOn(running, { seeds: seedsFrom(1_000, 8), reaches: [] });
  });
}
