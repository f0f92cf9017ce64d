/** Dumps of a PostgreSQL store, and what they restore. */
import { defined } from "../../base/defined.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import {
  type DumpKind,
  type DumpRows,
  type DumpSource,
  dumpCharsMax,
  dumpRowsMax,
  takeRows,
} from "../kit/dump.ts";
import { keptStart } from "../kit/heads.ts";
import { type ListingRow, toListing } from "../kit/lists.ts";
import { dueOf } from "../kit/task-life.ts";
import type { DumpedHead, DumpedTask, DumpRequest, RestoreRequest } from "../store.ts";
import { toFault } from "./faults.ts";
import type { Parameter, PostgresLink } from "./link.ts";

interface HeadRow extends ListingRow {
  readonly revision: number;
  readonly commitId: string;
  readonly recentCommitIds: readonly string[];
  readonly createdBy: string;
  readonly requestHash: string | null;
  readonly held: boolean;
  readonly state: string;
  readonly until: number | null;
}

type TaskRow = Omit<DumpedTask, "state" | "lease"> & {
  readonly stateNumber: number;
  readonly token: string | null;
  readonly workerId: string;
  readonly leasedAt: number;
  readonly deadline: number;
};

/** By the number that is stored. */
const states = ["queued", "leased", "dropped"] as const;

const tables: Readonly<Record<DumpKind, { columns: string; chars: string; order: string }>> = {
  fields: { columns: "name, value", chars: "value", order: "name" },
  history: { columns: "entry", chars: "entry", order: "sequence" },
  tasks: {
    columns: `id, state AS "stateNumber", queue, priority, until, queue_left AS "queueLeft",
      queued_at AS "queuedAt", timeout_ms AS "timeoutMs", heartbeat_ms AS "heartbeatMs", token,
      worker_id AS "workerId", leased_at AS "leasedAt", deadline, header, parameters`,
    chars: "parameters",
    order: "number",
  },
  timers: { columns: "id, at", chars: "id", order: "number" },
  messages: { columns: "id, body, deliveries", chars: "body", order: "number" },
};

/** What an execution owns. */
const owned = Object.keys(tables) as readonly DumpKind[];

/**
 * The numbers of restored tasks are below those of new ones: by milliseconds, each with room for
 * so many tasks. Of one millisecond they follow on those that are there.
 */
const numbersPerMs = "1048576::bigint";
const firstNumber = `(t.queued_at * ${numbersPerMs} - 4611686018427387904)`;

export class PostgresDump implements DumpSource {
  readonly #link: PostgresLink;

  constructor(link: PostgresLink) {
    this.#link = link;
  }

  async ids({ partition, after = "", limit }: DumpRequest): Promise<readonly string[]> {
    const rows = await this.#link.read<{ readonly id: string }>(
      `SELECT id FROM ${this.#link.schema}.executions
       WHERE partition = $1::int AND id > $2 ORDER BY id LIMIT $3::int`,
      [partition, after, limit],
    );
    return rows.map(({ id }) => id);
  }

  async head({ partition, id }: ExecutionKey): Promise<DumpedHead | undefined> {
    const [row] = await this.#link.read<HeadRow>(
      `SELECT id, workflow, version, status, started_at AS "startedAt", ended_at AS "endedAt",
         correlation_id AS "correlationId", parent, is_inline AS "isInline", revision,
         commit_id AS "commitId", recent AS "recentCommitIds", created_by AS "createdBy",
         request_hash AS "requestHash", held, state, tombstone_until AS until
       FROM ${this.#link.schema}.executions WHERE partition = $1::int AND id = $2`,
      [partition, id],
    );
    if (row === undefined) return undefined;
    const { revision, commitId, recentCommitIds, createdBy, held, state, until, ...rest } = row;
    const head = { revision, commitId };
    const { requestHash: hash, ...listing } = rest;
    const requestHash = hash ?? undefined;
    if (until !== null) {
      const { status, endedAt } = listing;
      const kept = keptStart({ requestHash, status, endedAt: endedAt ?? undefined });
      return { kind: "tombstone", head, until, ...defined({ kept }) };
    }
    return {
      kind: "execution",
      head,
      recentCommitIds,
      createdBy,
      listing: toListing(listing),
      held,
      state,
      ...defined({ requestHash }),
    };
  }

  async rows<Kind extends DumpKind>(
    { partition, id }: ExecutionKey,
    kind: Kind,
    skip: number,
  ): Promise<readonly DumpRows[Kind][]> {
    const { schema } = this.#link;
    const { columns, chars, order } = tables[kind];
    // Sizes first: the rows themselves are read as far as they fit.
    const from = `FROM ${schema}.${kind} WHERE execution = (SELECT x.number
        FROM ${schema}.executions x WHERE partition = $1::int AND id = $2)
      ORDER BY ${order} OFFSET $3::int LIMIT`;
    const [counted] = await this.#link.read<{ readonly count: number }>(
      `SELECT count(*) AS count FROM (
         SELECT sum(chars) OVER (ORDER BY n) - chars AS before FROM (
           SELECT row_number() OVER () AS n, length(${chars}) AS chars FROM (
             SELECT ${chars} ${from} ${dumpRowsMax}) a) b) c
       WHERE before < ${dumpCharsMax}`,
      [partition, id, skip],
    );
    if (counted!.count === 0) return [];
    const rows = await this.#link.read(`SELECT ${columns} ${from} $4::int`, [
      ...[partition, id, skip, counted!.count],
    ]);
    return takeRows(rows.map((row) => readRow[kind](row as never)) as DumpRows[Kind][], 0);
  }
}

const readRow = {
  fields: ({ name, value }: { name: string; value: string }) => [name, value] as const,
  history: ({ entry }: { entry: string }) => entry,
  timers: (row: DumpRows["timers"]) => row,
  messages: (row: DumpRows["messages"]) => row,
  tasks({ stateNumber, token, workerId, leasedAt, deadline, ...task }: TaskRow): DumpedTask {
    const lease = token === null ? undefined : { token, workerId, leasedAt, deadline };
    return { ...task, state: states[stateNumber]!, lease };
  },
};

type Run = <Row>(text: string, parameters?: readonly Parameter[]) => Promise<readonly Row[]>;

/** In one transaction. */
export async function restore(link: PostgresLink, request: RestoreRequest): Promise<void> {
  const { schema, client } = link;
  const { key, piece, now } = request;
  const isOver = piece.first?.kind === "tombstone" && piece.first.until <= now;
  try {
    await client.begin(async (sql) => {
      const run: Run = (text, parameters = []) =>
        sql.unsafe(text.replaceAll("@", `${schema}.`), [...parameters]);
      const place = [key.partition, key.id];
      if (piece.first !== undefined) await clear(run, place);
      if (piece.first !== undefined && !isOver) await insertHead(run, key, piece.first);
      const [row] = await run<{ readonly number: string; readonly held: boolean }>(
        `SELECT number::text, held FROM @executions
         WHERE partition = $1::int AND id = $2 AND tombstone_until IS NULL`,
        place,
      );
      if (row !== undefined) await insertRows(run, request, row);
    });
  } catch (error) {
    throw toFault(error);
  }
}

async function clear(run: Run, place: readonly Parameter[]): Promise<void> {
  const which = "SELECT number FROM @executions WHERE partition = $1::int AND id = $2";
  for (const table of owned) {
    await run(`DELETE FROM @${table} WHERE execution IN (${which})`, place);
  }
  await run("DELETE FROM @executions WHERE partition = $1::int AND id = $2", place);
}

async function insertHead(run: Run, key: ExecutionKey, first: DumpedHead): Promise<void> {
  const buried = {
    workflow: "",
    version: 0,
    startedAt: 0,
    createdBy: "",
    held: false,
    state: "",
    recentCommitIds: [],
    status: "COMPLETED",
  };
  const values =
    first.kind === "tombstone"
      ? { ...buried, ...first.kept, until: first.until }
      : { ...first, ...first.listing };
  await run(
    `INSERT INTO @executions (partition, id, workflow, version, status, started_at, ended_at,
       correlation_id, parent, is_inline, created_by, request_hash, tombstone_until, revision,
       commit_id, recent, held, history, state)
     SELECT $1::int, $2, v->>'workflow', (v->>'version')::int, v->>'status',
       (v->>'startedAt')::bigint, (v->>'endedAt')::bigint, v->>'correlationId', v->>'parent',
       (v->>'inline')::boolean, v->>'createdBy', v->>'requestHash', (v->>'until')::bigint,
       (v#>>'{head,revision}')::bigint, v#>>'{head,commitId}',
       ARRAY(SELECT jsonb_array_elements_text(v->'recentCommitIds')), (v->>'held')::boolean, 0,
       v->>'state'
     FROM (SELECT $3::text::jsonb AS v) a`,
    [key.partition, key.id, JSON.stringify({ ...values, head: first.head })],
  );
}

async function insertRows(
  run: Run,
  { key, piece, now }: RestoreRequest,
  { number, held }: { readonly number: string; readonly held: boolean },
): Promise<void> {
  const { fields, history, tasks, timers, messages } = piece;
  const insert = (items: readonly unknown[], text: string, more: readonly Parameter[] = []) =>
    items.length === 0 ? [] : run(text, [number, JSON.stringify(items), ...more]);
  await insert(
    fields,
    `INSERT INTO @fields (execution, name, value)
     SELECT $1::bigint, d->>0, d->>1 FROM jsonb_array_elements($2::text::jsonb) d
     ON CONFLICT (execution, name) DO UPDATE SET value = excluded.value`,
  );
  await insert(
    history.items,
    `WITH added AS (INSERT INTO @history (execution, sequence, entry)
       SELECT $1::bigint, $3::int + n, entry
       FROM jsonb_array_elements_text($2::text::jsonb) WITH ORDINALITY AS e (entry, n)
       ON CONFLICT (execution, sequence) DO UPDATE SET entry = excluded.entry RETURNING sequence)
     UPDATE @executions SET history = (SELECT max(sequence) FROM added) WHERE number = $1::bigint`,
    [history.after],
  );
  const owner = [key.partition, key.id];
  await insertTasks(run, insert, { tasks: tasks.items, owner, held });
  await insert(
    timers,
    `INSERT INTO @timers (execution, partition, execution_id, id, at, due)
     SELECT $1::bigint, $3::int, $4, t.id, t.at, t.at
     FROM jsonb_to_recordset($2::text::jsonb) AS t (id text, at bigint)
     ON CONFLICT (execution, id) DO UPDATE SET at = excluded.at, due = excluded.due`,
    owner,
  );
  const again = `DELETE FROM @messages WHERE execution = $1::bigint
    AND id IN (SELECT m->>'id' FROM jsonb_array_elements($2::text::jsonb) m)`;
  await insert(messages, again);
  await insert(
    messages,
    `INSERT INTO @messages (execution, partition, execution_id, id, body, deliveries, visible_at)
     SELECT $1::bigint, $3::int, $4, m->>'id', m->>'body', (m->>'deliveries')::int, $5::bigint
     FROM jsonb_array_elements($2::text::jsonb) WITH ORDINALITY AS e (m, n) ORDER BY n`,
    [...owner, now],
  );
}

async function insertTasks(
  run: Run,
  insert: (items: readonly unknown[], text: string, more: readonly Parameter[]) => unknown,
  {
    tasks,
    owner,
    held,
  }: {
    readonly tasks: readonly DumpedTask[];
    readonly owner: readonly Parameter[];
    readonly held: boolean;
  },
): Promise<void> {
  if (tasks.length === 0) return;
  // Two that restore at once must not choose the same numbers.
  await run("SELECT pg_advisory_xact_lock(hashtext('orchy restores tasks'))");
  const rows = tasks.map(({ lease, ...task }) => {
    const isHeld = held && task.state === "queued";
    return { ...task, ...lease, due: dueOf(task), held: isHeld, state: states.indexOf(task.state) };
  });
  const again = `DELETE FROM @tasks WHERE execution = $1::bigint
    AND id IN (SELECT t->>'id' FROM jsonb_array_elements($2::text::jsonb) t)`;
  await insert(rows, again, []);
  const last = `(SELECT max(number) + 1 FROM @tasks
    WHERE number >= ${firstNumber} AND number < ${firstNumber} + ${numbersPerMs})`;
  await insert(
    rows,
    `INSERT INTO @tasks (number, execution, partition, execution_id, id, state, held, queue, priority,
       due, until, queue_left, queued_at, timeout_ms, heartbeat_ms, token, worker_id, leased_at,
       deadline, header, parameters)
     SELECT coalesce(${last}, ${firstNumber}) - 1 + row_number() OVER (PARTITION BY t.queued_at ORDER BY n),
       $1::bigint, $3::int, $4, t.id, t.state, t.held, t.queue, t.priority, t.due, t.until,
       t.queue_left, t.queued_at, t.timeout_ms, t.heartbeat_ms, t.token, t.worker_id, t.leased_at,
       t.deadline, t.header, t.parameters
     FROM (SELECT n, v->>'id' AS id, (v->>'state')::smallint AS state, (v->>'held')::boolean AS held,
         v->>'queue' AS queue, (v->>'priority')::int AS priority, (v->>'due')::bigint AS due,
         (v->>'until')::bigint AS until, (v->>'queueLeft')::bigint AS queue_left,
         (v->>'queuedAt')::bigint AS queued_at, (v->>'timeoutMs')::bigint AS timeout_ms,
         (v->>'heartbeatMs')::bigint AS heartbeat_ms, v->>'token' AS token,
         v->>'workerId' AS worker_id, (v->>'leasedAt')::bigint AS leased_at,
         (v->>'deadline')::bigint AS deadline, v->>'header' AS header, v->>'parameters' AS parameters
       FROM jsonb_array_elements($2::text::jsonb) WITH ORDINALITY AS e (v, n)) t ORDER BY n`,
    owner,
  );
}
