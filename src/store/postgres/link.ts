/**
 * The connections to PostgreSQL. Statements are unnamed and each is a transaction, so that any of
 * several connections, or a pooler between, may run it.
 */
import { SQL } from "bun";
import type { Clock } from "../../base/clock.ts";
import type { ClientTls } from "../../config/tls.ts";
import { StoreFault } from "../store.ts";
import { clientOptions, type PostgresAddress } from "./address.ts";
import { toFault } from "./faults.ts";

const connectionsDefault = 10;
const connectSeconds = 5;

/** A call without a reply for as long is given up, and its connections with it. */
const replyMsMax = 15_000;

/** Until it is tried again to listen, where that failed. */
const listenMs = 1_000;

export type Parameter = string | number | null;

export class PostgresLink {
  /** As an identifier in SQL. */
  readonly schema: string;
  readonly #options: SQL.Options;
  readonly #clock: Clock;
  #sql: SQL;
  #isClosed = false;
  #listening: { readonly channel: string; hear(text: string): void } | undefined;

  constructor(
    address: PostgresAddress,
    options: {
      readonly namespace: string;
      readonly clock: Clock;
      readonly tls?: ClientTls;
      readonly connections?: number;
    },
  ) {
    this.schema = `"${options.namespace}"`;
    this.#clock = options.clock;
    const { tls, connections: max = connectionsDefault } = options;
    const plain = { max, connectionTimeout: connectSeconds, prepare: false };
    this.#options = { ...clientOptions(address, tls), ...plain };
    this.#sql = new SQL(this.#options);
  }

  /** For a transaction of several statements. */
  get client(): SQL {
    return this.#sql;
  }

  /** Rows of one statement; throws what the client throws, see faults.ts. */
  async query<Row>(text: string, parameters: readonly Parameter[] = []): Promise<Row[]> {
    const sql = this.#sql;
    return await new Promise<Row[]>((resolve, reject) => {
      const cancel = this.#clock.after(replyMsMax, () => {
        reject(new StoreFault("unknown", "PostgreSQL did not reply in time."));
        this.#renew(sql);
      });
      sql.unsafe(text, [...parameters]).then(
        (rows: Row[]) => {
          cancel();
          resolve(rows);
        },
        (error: unknown) => {
          cancel();
          reject(error);
        },
      );
    });
  }

  /** Rows as JSON, which keeps numbers beyond 32 bits; throws a StoreFault. */
  async read<Row>(text: string, parameters: readonly Parameter[] = []): Promise<Row[]> {
    const all = `SELECT coalesce(json_agg(q), '[]')::text AS rows FROM (${text}) q`;
    try {
      const [row] = await this.query<{ readonly rows: string }>(all, parameters);
      return JSON.parse(row!.rows) as Row[];
    } catch (error) {
      throw toFault(error);
    }
  }

  /** One of the functions of migrations/, which take JSON and return it. */
  async call<Answer>(name: string, request: string): Promise<Answer> {
    const text = `SELECT ${this.schema}.${name}($1::text::jsonb) AS answer`;
    const [row] = await this.query<{ readonly answer: string }>(text, [request]);
    return JSON.parse(row!.answer) as Answer;
  }

  /**
   * The client listens again by itself after its connection has ended. Resolves when it listens, with
   * what ends that.
   */
  async listen(channel: string, hear: (text: string) => void): Promise<() => Promise<void>> {
    this.#listening = { channel, hear };
    const subscription = await this.#sql.listen(channel, hear);
    return async () => {
      this.#listening = undefined;
      await subscription.unlisten();
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#sql.close({ timeout: 1 });
  }

  /** Connections that hang take whatever is sent over them along. */
  #renew(hanging: SQL): void {
    if (this.#sql !== hanging) return;
    this.#sql = new SQL(this.#options);
    hanging.close({ timeout: 0 }).catch(() => {});
    this.#listenAgain();
  }

  /** By the client of now, until that listens. */
  #listenAgain(): void {
    const sql = this.#sql;
    if (this.#listening === undefined) return;
    const { channel, hear } = this.#listening;
    sql.listen(channel, hear).catch(() => {
      this.#clock.after(listenMs, () => {
        if (this.#sql === sql && !this.#isClosed) this.#listenAgain();
      });
    });
  }
}
