/** The facet of servers: which of them are alive, what they tell each other, what format they write. */
import type { JsonText } from "../../model/json.ts";

export interface BeatRequest {
  readonly id: string;
  readonly body: JsonText;
  readonly now: number;
  readonly ttlMs: number;
}

export interface LiveServer {
  readonly id: string;
  readonly body: JsonText;
}

export interface ServerStore {
  beatServer(request: BeatRequest): Promise<void>;
  /** In order of id. */
  listServers(request: { readonly now: number }): Promise<readonly LiveServer[]>;
  leaveServer(request: { readonly id: string }): Promise<void>;

  /**
   * Calls back when another server may have put something claimable into a queue. Only a hint: one
   * that is lost costs a sweep. Resolves when it listens, or cannot. Absent: the store has no other
   * servers.
   */
  onWake?(
    listener: (partition: number, queue: string) => void,
    onNote?: (partition: number, text: string) => void,
  ): Promise<void>;
  /** To all servers that listen, this one among them. Notes may be lost. */
  sendNote?(partition: number, text: string): Promise<void>;

  /**
   * The format in which records are to be written (model/format.ts), as last heard; servers that do
   * not read it refuse to start. Absent: no other server shares the store, and it is this server's.
   */
  format?(): number;
  /** Raises it to at least this one, permanently; returns the one in force. */
  raiseFormat?(format: number): Promise<number>;
}
