/**
 * The outbox in SQLite. In order per source: a message waits until what its source sent before it
 * is out of hiding, so a failed delivery is not overtaken.
 */
import type { Database } from "bun:sqlite";
import type { NewMessage } from "../../model/decision.ts";
import { RecentClaims } from "../rules.ts";
import type { ClaimDueRequest, OutboxMessage } from "../store.ts";

interface MessageRow {
  readonly executionId: string;
  readonly id: string;
  readonly body: string;
  readonly deliveries: number;
}

function prepareStatements(database: Database) {
  return {
    insert: database.prepare(`
      INSERT OR REPLACE INTO messages (execution, partition, visible_at, deliveries, id, body)
      VALUES (?, ?, ?, 0, ?, ?)`),
    delete: database.prepare("DELETE FROM messages WHERE execution = ? AND id = ?"),
    inOrder: database.prepare<{ number: number; visibleAt: number; execution: number }, [number]>(`
      SELECT number, visible_at AS visibleAt, execution
      FROM messages WHERE partition = ? ORDER BY number`),
    hide: database.prepare(`
      UPDATE messages SET visible_at = ?, claim_id = ?, deliveries = deliveries + 1
      WHERE number = ?`),
    select: database.prepare<MessageRow, [number, string]>(`
      SELECT executions.id AS executionId, messages.id, body, deliveries
      FROM messages JOIN executions ON executions.number = execution
      WHERE messages.number = ? AND claim_id = ?`),
    selectIds: database.prepare("SELECT id FROM messages WHERE execution = ? ORDER BY number"),
  };
}

export class Messages {
  readonly #sql: ReturnType<typeof prepareStatements>;
  readonly #claims = new RecentClaims<number>();

  constructor(database: Database) {
    this.#sql = prepareStatements(database);
  }

  add(
    owner: { readonly execution: number; readonly partition: number },
    message: NewMessage,
    now: number,
  ): void {
    this.#sql.insert.run(owner.execution, owner.partition, now, message.id, message.body);
  }

  acknowledge(execution: number, id: string): void {
    this.#sql.delete.run(execution, id);
  }

  of(execution: number): readonly string[] {
    return this.#sql.selectIds.values(execution).map(([id]) => id as string);
  }

  claim(request: ClaimDueRequest): {
    readonly messages: readonly OutboxMessage[];
    readonly nextDue?: number;
  } {
    const { partition, claimId, hideMs, now } = request;
    const earlier = this.#claims
      .recall(partition, claimId)
      .filter((number) => this.#sql.select.get(number, claimId) !== null);
    const isRepeat = earlier.length > 0;
    const { claimable, next } = this.#search(
      request,
      isRepeat ? { except: earlier, limit: 0 } : { except: [], limit: request.limit },
    );
    if (!isRepeat) {
      for (const number of claimable) this.#sql.hide.run(now + hideMs, claimId, number);
      this.#claims.remember(partition, claimId, claimable);
    }
    const messages = this.#read(isRepeat ? earlier : claimable, request);
    return next === undefined ? { messages } : { messages, nextDue: next };
  }

  /** Ends at the first claimable message beyond the limit: that one is due now. */
  #search(
    request: ClaimDueRequest,
    options: { readonly except: readonly number[]; readonly limit: number },
  ): { readonly claimable: readonly number[]; readonly next: number | undefined } {
    const blocked = new Set<number>();
    const except = new Set(options.except);
    const claimable: number[] = [];
    let next: number | undefined;
    for (const message of this.#sql.inOrder.iterate(request.partition)) {
      const { number, visibleAt, execution } = message;
      if (except.has(number) || blocked.has(execution)) continue;
      if (visibleAt <= request.now && claimable.length < options.limit) {
        claimable.push(number);
        continue;
      }
      next = Math.min(next ?? visibleAt, visibleAt);
      if (visibleAt <= request.now) break;
      blocked.add(execution);
    }
    return { claimable, next };
  }

  /** Those that are still there under this very claim. */
  #read(numbers: readonly number[], request: ClaimDueRequest): OutboxMessage[] {
    const messages: OutboxMessage[] = [];
    for (const number of numbers) {
      const row = this.#sql.select.get(number, request.claimId);
      if (row === null) continue;
      const { executionId, ...message } = row;
      messages.push({ key: { partition: request.partition, id: executionId }, ...message });
    }
    return messages;
  }
}
