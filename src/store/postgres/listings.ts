/** Lists of executions in PostgreSQL, newest first. */
import { executionStatuses } from "../../model/execution.ts";
import { type ListingRow, looksMax, pageOf, toListing } from "../kit/lists.ts";
import type { ListAnswer, ListRequest } from "../store.ts";
import type { Parameter, PostgresLink } from "./link.ts";

/** What an index is searched for: conditions whose rows together are all that are looked for. */
interface Candidate {
  readonly conditions: readonly string[];
  /** Parameter $2 of them. */
  readonly value?: string;
}

/** Above this count, which of two indexes holds fewer is not determined. */
const countMax = 1_000;

const columns = `id, workflow, version, status, started_at AS "startedAt", ended_at AS "endedAt",
  correlation_id AS "correlationId", parent, is_inline AS "isInline"`;

export async function list(link: PostgresLink, request: ListRequest): Promise<ListAnswer> {
  const { partition, after, startedAfter = -1 } = request;
  const source = `${link.schema}.executions WHERE partition = $1::int AND tombstone_until IS NULL`;
  const { conditions, value } = await smallest(link, source, partition, candidatesOf(request));
  const parameters: Parameter[] = value === undefined ? [partition] : [partition, value];
  const parameter = (one: Parameter, type: string) => `$${parameters.push(one)}::${type}`;
  const startedAt = parameter(after?.startedAt ?? Number.MAX_SAFE_INTEGER, "bigint");
  const place = `(${startedAt}, ${parameter(after?.id ?? "", "text")})`;
  const from = `started_at > ${parameter(startedAfter, "bigint")}`;
  const limit = looksMax(request);
  const searches = conditions.map(
    (condition) => `(SELECT ${columns} FROM ${source} AND ${condition}
      AND (started_at, id) < ${place} AND ${from}
      ORDER BY started_at DESC, id DESC LIMIT ${limit})`,
  );
  const merged = `SELECT * FROM (${searches.join(" UNION ALL ")}) a
    ORDER BY "startedAt" DESC, id DESC LIMIT ${limit}`;
  const rows = await link.read<ListingRow>(merged, parameters);
  return pageOf(rows.map(toListing), request, { isWhole: rows.length < limit });
}

function candidatesOf({ workflow, status, correlationId, parent }: ListRequest): Candidate[] {
  const candidates: Candidate[] = [];
  // Every execution has one of few statuses: merging their lists saves an index without them.
  const statuses = status === undefined ? executionStatuses : [status];
  const ofStatus = statuses.map((one) => `status = '${one}'`);
  if (correlationId !== undefined) {
    candidates.push({ conditions: ["correlation_id = $2"], value: correlationId });
  }
  if (parent !== undefined) candidates.push({ conditions: ["parent = $2"], value: parent });
  if (workflow !== undefined) {
    const conditions = ofStatus.map((condition) => `workflow = $2 AND ${condition}`);
    candidates.push({ conditions, value: workflow });
  } else if (status !== undefined || candidates.length === 0) {
    candidates.push({ conditions: ofStatus });
  }
  return candidates;
}

/** The one that holds the fewest rows. */
async function smallest(
  link: PostgresLink,
  source: string,
  partition: number,
  candidates: readonly Candidate[],
): Promise<Candidate> {
  if (candidates.length === 1) return candidates[0]!;
  const counts = await Promise.all(
    candidates.map(async (candidate) => {
      const { conditions, value } = candidate;
      const rows = conditions.map((one) => {
        return `(SELECT 1 FROM ${source} AND ${one} LIMIT ${countMax})`;
      });
      const [row] = await link.read<{ readonly count: number }>(
        `SELECT count(*) AS count FROM (${rows.join(" UNION ALL ")}) a`,
        value === undefined ? [partition] : [partition, value],
      );
      return { candidate, count: row!.count };
    }),
  );
  return counts.reduce((a, b) => (b.count < a.count ? b : a)).candidate;
}
