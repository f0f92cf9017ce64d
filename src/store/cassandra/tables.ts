/** The tables of the store, and what their columns hold. */

export interface Table {
  readonly name: string;
  /** Name and type, in the order of the key. */
  readonly partitionKey: readonly (readonly [string, string])[];
  readonly clustering: readonly (readonly [string, string])[];
  readonly columns: readonly (readonly [string, string])[];
  readonly options: string;
}

const execution = [
  ["ns", "text"],
  ["p", "int"],
  ["e", "text"],
] as const;
const shelf = [
  ["ns", "text"],
  ["p", "int"],
  ["shelf", "text"],
] as const;
const place = [
  ["at", "bigint"],
  ["id", "text"],
] as const;

/** Struck hints that come back do no harm, so they need not be remembered for long. */
const hintsGoSoon = "gc_grace_seconds = 3600";

export const tables: readonly Table[] = [
  {
    // An execution: its head (k is empty), and its other rows. Only ever written conditionally.
    name: "records",
    partitionKey: execution,
    clustering: [["k", "text"]],
    columns: [
      ["v", "bigint"],
      ["body", "text"],
      ["closed", "boolean"],
    ],
    options: "",
  },
  {
    name: "parts",
    partitionKey: execution,
    clustering: [["name", "text"]],
    columns: [["body", "blob"]],
    options: "",
  },
  {
    // Hints by which work is found, in buckets of a minute.
    name: "work",
    partitionKey: [...shelf, ["bucket", "bigint"]],
    clustering: place,
    columns: [["body", "text"]],
    options: hintsGoSoon,
  },
  {
    // Hints of lists, in buckets of a day, read from the latest.
    name: "lists",
    partitionKey: [...shelf, ["bucket", "bigint"]],
    clustering: place,
    columns: [["body", "text"]],
    options: `CLUSTERING ORDER BY (at DESC, id DESC) AND ${hintsGoSoon}`,
  },
  {
    // Which buckets of a shelf there may be; each server enters a bucket under a mark of its own.
    name: "buckets",
    partitionKey: [...shelf, ["kind", "text"]],
    clustering: [
      ["bucket", "bigint"],
      ["mark", "text"],
    ],
    columns: [],
    options: hintsGoSoon,
  },
  {
    // Only ever written conditionally.
    name: "documents",
    partitionKey: [
      ["ns", "text"],
      ["kind", "text"],
    ],
    clustering: [["id", "text"]],
    columns: [
      ["version", "bigint"],
      ["body", "text"],
    ],
    options: "",
  },
  {
    name: "servers",
    partitionKey: [["ns", "text"]],
    clustering: [["id", "text"]],
    columns: [
      ["until", "bigint"],
      ["body", "text"],
    ],
    options: hintsGoSoon,
  },
  {
    // Of a namespace: its partitions, its format, the version of the tables. Only ever conditionally.
    name: "settings",
    partitionKey: [["ns", "text"]],
    clustering: [["name", "text"]],
    columns: [["value", "text"]],
    options: "",
  },
];

export function createStatement(keyspace: string, table: Table): string {
  const { name, partitionKey, clustering, columns, options } = table;
  const names = (some: readonly (readonly [string, string])[]) => some.map(([one]) => one);
  const all = [...partitionKey, ...clustering, ...columns].map((column) => column.join(" "));
  const key = `(${names(partitionKey).join(", ")}), ${names(clustering).join(", ")}`;
  const rest = options === "" ? "" : ` WITH ${options}`;
  return (
    `CREATE TABLE IF NOT EXISTS ${keyspace}.${name} ` +
    `(${all.join(", ")}, PRIMARY KEY (${key}))${rest}`
  );
}
