/** The thread of the housekeeper: a connection of its own, for what may take long. */
import { Database } from "bun:sqlite";

export type Chore =
  | { readonly kind: "checkpoint" }
  | { readonly kind: "backup"; readonly path: string };

declare const self: Worker;

let database: Database | undefined;

function run(chore: Chore): void {
  if (chore.kind === "checkpoint") database?.query("PRAGMA wal_checkpoint(PASSIVE)").all();
  else database?.run("VACUUM INTO ?", [chore.path]);
}

/** The first message is the path; each later one is answered by null or by what went wrong. */
self.onmessage = (event: MessageEvent<string | Chore>) => {
  if (typeof event.data === "string") {
    database = new Database(event.data, { readwrite: true });
    database.run("PRAGMA synchronous = FULL");
    database.run("PRAGMA busy_timeout = 1000");
    return;
  }
  try {
    run(event.data);
    self.postMessage(null);
  } catch (error) {
    self.postMessage(error instanceof Error ? error.message : String(error));
  }
};
