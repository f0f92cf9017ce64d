/** What is read of executions and queues, each in one statement: of one moment. */
import type { ExecutionStatus } from "../../model/execution.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import { storedTask } from "../kit/task-life.ts";
import type * as contract from "../store.ts";
import type { PostgresLink } from "./link.ts";

interface HeadRow {
  readonly revision: number;
  readonly commit: string;
  readonly recent: readonly string[];
  readonly status: ExecutionStatus;
  readonly held: boolean;
  readonly state: string;
  readonly isBuried: boolean;
  readonly data: readonly (readonly [name: string, value: string])[] | null;
}

interface StoredRow extends Omit<contract.StoredTask, "state" | "until"> {
  /** 0 queued, 1 leased. */
  readonly state: number;
  readonly until: number | null;
}

export class Reads {
  readonly #link: PostgresLink;
  readonly #schema: string;

  constructor(link: PostgresLink) {
    this.#link = link;
    this.#schema = link.schema;
  }

  async load({ key, fields }: contract.LoadRequest): Promise<contract.LoadAnswer> {
    const names = fields === undefined ? null : JSON.stringify(fields);
    const [row] = await this.#link.read<HeadRow>(
      `SELECT revision, commit_id AS commit, recent, status, held, state,
         tombstone_until IS NOT NULL AS "isBuried",
         (SELECT json_agg(json_build_array(name, value)) FROM ${this.#schema}.fields
          WHERE execution = number AND ($3::text IS NULL
            OR name IN (SELECT jsonb_array_elements_text($3::text::jsonb)))) AS data
       FROM ${this.#schema}.executions WHERE partition = $1::int AND id = $2`,
      [key.partition, key.id, names],
    );
    if (row === undefined) return { outcome: "not_found" };
    if (row.isBuried) return { outcome: "tombstone" };
    const { revision, commit: commitId, recent: recentCommitIds, status, held, state } = row;
    const data = new Map(row.data ?? []);
    const head = { revision, commitId };
    return { outcome: "loaded", head, recentCommitIds, status, held, state, data };
  }

  async task({ key, taskId }: contract.TaskPlace): Promise<contract.StoredTask | undefined> {
    const [row] = await this.#link.read<StoredRow>(
      `SELECT queue, t.state, until, timeout_ms AS "timeoutMs", header, parameters
       FROM ${this.#schema}.tasks t JOIN ${this.#schema}.executions x ON x.number = execution
       WHERE x.partition = $1::int AND x.id = $2 AND tombstone_until IS NULL
         AND t.id = $3 AND t.state < 2`,
      [key.partition, key.id, taskId],
    );
    if (row === undefined) return undefined;
    const { state, until, ...terms } = row;
    return storedTask({ state: state === 0 ? "queued" : "leased", until }, terms);
  }

  async holdings(key: ExecutionKey): Promise<contract.Holdings> {
    const [row] = await this.#link.read<contract.Holdings>(
      `SELECT
         coalesce((SELECT json_agg(json_strip_nulls(json_build_object('id', t.id, 'queue', queue,
           'state', CASE t.state WHEN 0 THEN 'queued' ELSE 'leased' END,
           'workerId', CASE t.state WHEN 1 THEN worker_id END,
           'token', CASE t.state WHEN 1 THEN token END,
           'leaseUntil', CASE t.state WHEN 1 THEN until END)) ORDER BY t.number)
           FROM ${this.#schema}.tasks t WHERE execution = x.number AND t.state < 2), '[]') AS tasks,
         coalesce((SELECT json_agg(json_build_object('id', t.id, 'at', at) ORDER BY t.number)
           FROM ${this.#schema}.timers t WHERE execution = x.number), '[]') AS timers,
         coalesce((SELECT json_agg(m.id ORDER BY m.number)
           FROM ${this.#schema}.messages m WHERE execution = x.number), '[]') AS messages
       FROM ${this.#schema}.executions x
       WHERE partition = $1::int AND id = $2 AND tombstone_until IS NULL`,
      [key.partition, key.id],
    );
    return row ?? { tasks: [], timers: [], messages: [] };
  }

  async history({ key, after, limit }: contract.HistoryRequest): Promise<readonly string[]> {
    const rows = await this.#link.read<{ readonly entry: string }>(
      `SELECT entry FROM ${this.#schema}.history WHERE sequence > $3::int AND execution = (
         SELECT number FROM ${this.#schema}.executions
         WHERE partition = $1::int AND id = $2 AND tombstone_until IS NULL)
       ORDER BY sequence LIMIT $4::int`,
      [key.partition, key.id, after, limit],
    );
    return rows.map(({ entry }) => entry);
  }

  async queueStats(request: contract.QueueStatsRequest): Promise<readonly contract.QueueStats[]> {
    const rows = await this.#link.read<contract.QueueStats & { readonly oldestAt: number | null }>(
      `SELECT queue, count(*) FILTER (WHERE state = 0) AS queued,
         count(*) FILTER (WHERE state = 1) AS leased,
         min(queued_at) FILTER (WHERE state = 0) AS "oldestAt"
       FROM ${this.#schema}.tasks
       WHERE partition = $1::int AND state < 2 AND ($2::text IS NULL OR queue = $2::text)
       GROUP BY queue ORDER BY queue`,
      [request.partition, request.queue ?? null],
    );
    return rows.map(({ oldestAt, ...row }) => (oldestAt === null ? row : { ...row, oldestAt }));
  }

  /** Each queue is found by a search of its own, not by a look at all tasks. */
  async queueHints(partition: number): Promise<readonly string[]> {
    const next = (condition: string) => `(SELECT queue FROM ${this.#schema}.tasks
      WHERE partition = $1::int AND state = 0 AND NOT held ${condition} ORDER BY queue LIMIT 1)`;
    const rows = await this.#link.read<{ readonly queue: string }>(
      `WITH RECURSIVE q AS (SELECT ${next("")} AS queue UNION ALL
         SELECT ${next("AND tasks.queue > q.queue")} FROM q WHERE q.queue IS NOT NULL)
       SELECT queue FROM q WHERE queue IS NOT NULL`,
      [partition],
    );
    return rows.map(({ queue }) => queue);
  }

  /** Counted up to a bound: more are as good as that many. */
  async tombstones(): Promise<number> {
    const [row] = await this.#link.read<{ readonly count: number }>(
      `SELECT count(*) AS count FROM (SELECT 1 FROM ${this.#schema}.executions
       WHERE tombstone_until IS NOT NULL LIMIT 10000) a`,
    );
    return row!.count;
  }
}
