/**
 * The tables, their migrations, and what is checked before a file is used.
 *
 * Every table is keyed by an integer, so that rows are appended. What each commit rewrites (states)
 * is apart from what lists need (executions), so that a commit maintains no index of theirs. Rows
 * of tasks, timers and messages repeat the partition: each claim is then one search of one index.
 */
import type { Database } from "bun:sqlite";
import { limits } from "../../base/limits.ts";
import { isFull } from "./full.ts";

/** State of a task's row. */
export const taskState = { queued: 0, leased: 1, dropped: 2 } as const;

/** Room for the sequence of history entries below the number of their execution. */
const historyRoom = 2 ** 20;

/** The sequence in which the latest entry lies when a history has more: it replaces the one there. */
export const historySequenceMax = historyRoom - 1;

/**
 * The key of a history entry, of parameters: in integers of SQLite, as above 2^33 executions it is
 * beyond what a number of JavaScript holds exactly.
 */
export function historyKey(execution: string, sequence: string | number): string {
  return `(CAST(${execution} AS INTEGER) * ${historyRoom} + CAST(${sequence} AS INTEGER))`;
}

/** Each is applied once, in order; one that has been released is never changed. */
const migrations: readonly string[] = [
  `
  CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

  CREATE TABLE executions (
    number INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    id TEXT NOT NULL,
    workflow TEXT NOT NULL,
    version INTEGER NOT NULL,
    status TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    correlation_id TEXT,
    created_by TEXT NOT NULL,
    request_hash TEXT,
    tombstone_until INTEGER
  ) STRICT;
  CREATE UNIQUE INDEX executions_id ON executions (id, partition);
  CREATE INDEX executions_workflow ON executions (partition, workflow, started_at)
    WHERE tombstone_until IS NULL;
  CREATE INDEX executions_status ON executions (partition, status, started_at)
    WHERE tombstone_until IS NULL;
  CREATE INDEX executions_correlation ON executions (partition, correlation_id, started_at)
    WHERE tombstone_until IS NULL AND correlation_id IS NOT NULL;
  CREATE INDEX executions_tombstone ON executions (partition, tombstone_until)
    WHERE tombstone_until IS NOT NULL;

  CREATE TABLE states (
    execution INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL,
    commit_id TEXT NOT NULL,
    recent TEXT NOT NULL,
    held INTEGER NOT NULL,
    history INTEGER NOT NULL,
    state TEXT NOT NULL
  ) STRICT;

  CREATE TABLE fields (
    number INTEGER PRIMARY KEY,
    execution INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX fields_name ON fields (execution, name);

  -- The key is the execution's number * ${historyRoom} + the entry's sequence.
  CREATE TABLE history (number INTEGER PRIMARY KEY, entry TEXT NOT NULL) STRICT;

  -- place: order of adding; the number does not tell it, as a step's task takes over the row of
  -- the one before it.
  -- until: end of the lease, or of the wait in the queue. queue_left: what is left of that wait
  -- while it stands still. due: when claimDue gives the task next, hiding included.
  CREATE TABLE tasks (
    number INTEGER PRIMARY KEY,
    execution INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    state INTEGER NOT NULL,
    held INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    place INTEGER NOT NULL,
    due INTEGER,
    until INTEGER,
    queue_left INTEGER,
    deadline INTEGER,
    leased_at INTEGER,
    queued_at INTEGER NOT NULL,
    timeout_ms INTEGER NOT NULL,
    heartbeat_ms INTEGER NOT NULL,
    claim_id TEXT,
    worker_id TEXT,
    queue TEXT NOT NULL,
    id TEXT NOT NULL,
    token TEXT,
    header TEXT NOT NULL,
    parameters TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX tasks_id ON tasks (execution, id);
  CREATE INDEX tasks_queue ON tasks (partition, queue, held, priority DESC, place, queued_at)
    WHERE state = ${taskState.queued};
  CREATE INDEX tasks_due ON tasks (partition, due) WHERE due IS NOT NULL;
  CREATE INDEX tasks_dropped ON tasks (partition, until) WHERE state = ${taskState.dropped};

  CREATE TABLE timers (
    number INTEGER PRIMARY KEY,
    execution INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    due INTEGER NOT NULL,
    at INTEGER NOT NULL,
    claim_id TEXT,
    id TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX timers_id ON timers (execution, id);
  CREATE INDEX timers_due ON timers (partition, due);

  CREATE TABLE messages (
    number INTEGER PRIMARY KEY,
    execution INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    visible_at INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    claim_id TEXT,
    id TEXT NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX messages_id ON messages (execution, id);
  CREATE INDEX messages_order ON messages (partition, number, visible_at, execution);

  CREATE TABLE documents (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX documents_id ON documents (kind, id);

  CREATE TABLE servers (id TEXT PRIMARY KEY, until INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
  `,
  // What is small of an execution's fields and history: see contents.ts.
  `
  ALTER TABLE states ADD COLUMN log TEXT NOT NULL DEFAULT '';
  ALTER TABLE states DROP COLUMN recent;
  `,
  // The lone slot: the task that was handed out by the commit that added it; see lone-slots.ts.
  `
  ALTER TABLE states ADD COLUMN lease TEXT;
  `,
  // Records of this format (model/format.ts): servers that cannot read them refuse the file.
  "INSERT OR REPLACE INTO settings (name, value) VALUES ('format', '3')",
  // How many tombstones there are: counting them takes long when there are many.
  `
  INSERT INTO settings (name, value)
    SELECT 'tombstones', count(*) FROM executions WHERE tombstone_until IS NOT NULL;
  `,
  // Executions of earlier versions are entered into the index a few at a time: see listings.ts.
  `
  ALTER TABLE executions ADD COLUMN is_paired INTEGER;
  CREATE INDEX executions_pair ON executions (partition, workflow, status, started_at)
    WHERE tombstone_until IS NULL AND is_paired = 1;
  `,
  // Children, by their parents.
  `
  ALTER TABLE executions ADD COLUMN parent TEXT;
  ALTER TABLE executions ADD COLUMN is_inline INTEGER;
  CREATE INDEX executions_parent ON executions (partition, parent, started_at)
    WHERE tombstone_until IS NULL AND parent IS NOT NULL;
  `,
];

/** Setting: executions with lower numbers are still to be entered into the index of pairs. */
export const unpairedBelow = "unpaired_below";

/** The event loop stands still for as long. */
const busyMs = 40;

/** "Orcy" in ASCII, in the header of the file. */
const applicationId = 0x4f726379;

function pragma(database: Database, name: string): number {
  return Number(database.query(`PRAGMA ${name}`).values()[0]?.[0]);
}

function refuseForeign(database: Database, path: string): void {
  const version = pragma(database, "user_version");
  const tables = database.query("SELECT count(*) FROM sqlite_schema").values()[0]?.[0];
  const isEmpty = version === 0 && tables === 0;
  if (!isEmpty && pragma(database, "application_id") !== applicationId) {
    throw new Error(`${path} is a database of another program; give Orchy a file of its own.`);
  }
  if (version > migrations.length) {
    throw new Error(
      `${path} was written by a newer Orchy (schema ${version}; this one knows ` +
        `${migrations.length}); start that version, or a newer one.`,
    );
  }
}

/** Values fixed when the file was made; a server that is started with others is refused. */
function checkSettings(
  database: Database,
  path: string,
  settings: Readonly<Record<string, string | number>>,
): void {
  for (const [name, value] of Object.entries(settings)) {
    keepDefault(database, name, value);
    const stored = settingOf(database, name);
    if (stored === `${value}`) continue;
    throw new Error(
      `${path} was made with ${name} ${stored} and cannot be opened with ${name} ${value}.`,
    );
  }
}

/** Brings the file to this version's tables, or throws one sentence that says why it cannot. */
export function prepareDatabase(
  database: Database,
  path: string,
  settings: Readonly<Record<string, string | number>>,
): void {
  refuseForeign(database, path);
  database.run("PRAGMA journal_mode = WAL");
  database.run("PRAGMA synchronous = NORMAL");
  database.run("PRAGMA wal_autocheckpoint = 0");
  database.run(`PRAGMA journal_size_limit = ${limits.logBytesMax}`);
  // A reader in another process may lock the file for an instant, as a backup does.
  database.run(`PRAGMA busy_timeout = ${busyMs}`);
  database.run("PRAGMA cache_size = -65536");
  database.run("PRAGMA temp_store = MEMORY");
  // What is as it should be is not written: the disk may be full.
  database.transaction(() => {
    const version = pragma(database, "user_version");
    for (const migration of migrations.slice(version)) database.run(migration);
    if (version === 0) writeSetting(database, unpairedBelow, 0);
    if (version < migrations.length) database.run(`PRAGMA user_version = ${migrations.length}`);
    if (pragma(database, "application_id") !== applicationId) {
      database.run(`PRAGMA application_id = ${applicationId}`);
    }
    checkSettings(database, path, settings);
    keepDefault(database, "partitions", limits.partitionsEmbeddedDefault);
  })();
  dropReplaced(database);
}

/** The index of pairs serves lists of a workflow as well, once all executions are in it. */
function dropReplaced(database: Database): void {
  if (settingOf(database, unpairedBelow) !== "0") return;
  try {
    database.run("DROP INDEX IF EXISTS executions_workflow");
  } catch (error) {
    // It costs some time at each start of an execution, and goes at another opening.
    if (!isFull(error)) throw error;
  }
}

/** Of places.ts: one for each opening of the file, and more where one was used up. */
export function countRange(database: Database): number {
  const range = nextRange(database);
  writeSetting(database, "openings", range);
  return range;
}

export function nextRange(database: Database): number {
  return 1 + Number(settingOf(database, "openings") ?? 0);
}

function keepDefault(database: Database, name: string, value: string | number): void {
  if (settingOf(database, name) !== undefined) return;
  database.run("INSERT INTO settings (name, value) VALUES (?, ?)", [name, `${value}`]);
}

export function writeSetting(database: Database, name: string, value: string | number): void {
  database.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", [name, `${value}`]);
}

export function settingOf(database: Database, name: string): string | undefined {
  const row = database.query("SELECT value FROM settings WHERE name = ?").values(name)[0];
  return row?.[0] as string | undefined;
}
