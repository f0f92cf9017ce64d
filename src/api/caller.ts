/** The caller: what the connection and the headers of a call say, and the key that was proven. */
import type { Key } from "../model/key.ts";

export interface Sender {
  /** The header of that name. */
  readonly authorization: string | null | undefined;
  /** IP address; undefined when the connection is already gone. */
  readonly address: () => string | undefined;
  /** The route or method that is called. */
  readonly call: string;
}

export interface Caller {
  readonly sender: Sender;
  /** Absent: callers need no keys. */
  readonly key?: Key;
  readonly admittedAt?: number;
}
