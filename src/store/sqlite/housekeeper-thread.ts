/** The thread of the housekeeper: a separate connection, for what may take long. */
import { Database } from "bun:sqlite";
import { keepLength } from "./disk-space.ts";

export type Chore =
  | { readonly kind: "open"; readonly path: string }
  | { readonly kind: "checkpoint"; readonly fileBytes: number }
  | { readonly kind: "close" };

declare const self: Worker;

let database: Database | undefined;

function run(chore: Chore): void {
  switch (chore.kind) {
    case "open":
      database = new Database(chore.path, { readwrite: true });
      database.run("PRAGMA synchronous = NORMAL");
      return;
    case "checkpoint":
      if (database === undefined) return;
      keepLength(database, chore.fileBytes);
      database.query("PRAGMA wal_checkpoint(PASSIVE)").all();
      return;
    case "close":
      database?.close(true);
  }
}

/** Each message is answered by null, or by what went wrong. */
self.onmessage = (event: MessageEvent<Chore>) => {
  try {
    run(event.data);
    self.postMessage(null);
  } catch (error) {
    self.postMessage(error instanceof Error ? error.message : String(error));
  }
};
