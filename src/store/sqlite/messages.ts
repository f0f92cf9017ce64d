/**
 * The outbox in SQLite. In order per source: a message waits until what its source sent before it
 * is out of hiding, so a failed delivery is not overtaken.
 */
import type { Database } from "bun:sqlite";
import type { NewMessage } from "../../model/decision.ts";
import { RecentClaims } from "../kit/claims.ts";
import { withNextDue } from "../kit/due.ts";
import { claimableMessages } from "../kit/outbox.ts";
import type { ClaimDueRequest, ClaimOutboxAnswer, OutboxMessage } from "../store.ts";

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

  claim(request: ClaimDueRequest): ClaimOutboxAnswer {
    const { partition, claimId, hideMs, now } = request;
    const earlier = this.#claims
      .recall(partition, claimId)
      .filter((number) => this.#sql.select.get(number, claimId) !== null);
    const limit = earlier.length > 0 ? 0 : request.limit;
    const isGiven = ({ number }: { readonly number: number }) => earlier.includes(number);
    const inOrder = this.#sql.inOrder.iterate(partition);
    const { claimable, nextDue } = claimableMessages(inOrder, { limit, now, isGiven });
    const claimed = claimable.map(({ number }) => number);
    for (const number of claimed) this.#sql.hide.run(now + hideMs, claimId, number);
    this.#claims.remember(partition, claimId, claimed);
    return withNextDue({ messages: this.#read([...earlier, ...claimed], request) }, nextDue);
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
