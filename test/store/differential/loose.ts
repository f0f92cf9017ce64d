/**
 * What a store may answer that finds its work by hints: none is missing, some lead to nothing, and some
 * come too early. What it claims, and what executions hold, is compared exactly.
 */
import { expect } from "bun:test";
import type * as contract from "../../../src/store/store.ts";
import type { Operation } from "./operations.ts";

/** Returns false for an operation that has no such freedom. */
export function compareLoosely(operation: Operation, expected: unknown, actual: unknown): boolean {
  switch (operation.name) {
    case "remove": {
      const whole = (answer: unknown) => (answer === "more" ? "removed" : answer);
      const [one, two] = [whole(expected), whole(actual)];
      // An ended tombstone is gone at some time.
      if (one !== "not_found" || two !== "removed") expect(two).toEqual(one);
      return true;
    }
    case "extendLeases": {
      // When what was dropped is forgotten is open for who may be late.
      const isLate = (operation.request as contract.ExtendRequest).lateMs !== undefined;
      const [one, two] = [expected, actual] as (readonly contract.ExtendAnswer[])[];
      const wanted = one!.map((answer, i) => {
        const isKept = isLate && answer.outcome === "stale" && two![i]?.outcome === "cancelled";
        return isKept ? two![i] : answer;
      });
      expect(two).toEqual(wanted as contract.ExtendAnswer[]);
      return true;
    }
    case "claimTasks": {
      const [one, two] = [expected, actual] as contract.ClaimTasksAnswer[];
      const byToken = ({ tasks }: contract.ClaimTasksAnswer) =>
        tasks.toSorted((a, b) => (`${a.token}/${a.key.id}` < `${b.token}/${b.key.id}` ? -1 : 1));
      expect(byToken(two!)).toEqual(byToken(one!));
      expect(two!.more).toEqual(expect.arrayContaining([...one!.more]));
      return true;
    }
    case "claimDue": {
      const [one, two] = [expected, actual] as contract.ClaimDueAnswer[];
      const byText = (a: unknown, b: unknown) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
      expect([...two!.items].sort(byText)).toEqual([...one!.items].sort(byText));
      expectNoLater(operation, one!, two!);
      return true;
    }
    case "claimOutbox": {
      const [one, two] = [expected, actual] as contract.ClaimOutboxAnswer[];
      const bySource = ({ messages }: contract.ClaimOutboxAnswer) =>
        messages.toSorted((a, b) => (a.key.id < b.key.id ? -1 : a.key.id > b.key.id ? 1 : 0));
      expect(bySource(two!)).toEqual(bySource(one!));
      expectNoLater(operation, one!, two!);
      return true;
    }
    case "queueHints":
      expect(actual).toEqual(expect.arrayContaining(expected as string[]));
      return true;
    case "queueStats": {
      const counted = new Map(
        (actual as contract.QueueStats[]).map(({ queue, queued }) => [queue, queued]),
      );
      for (const { queue, queued } of expected as contract.QueueStats[]) {
        expect(counted.get(queue) ?? 0).toBeGreaterThanOrEqual(queued);
      }
      return true;
    }
    default:
      return false;
  }
}

/** Those in the past ask for another call at once, as the present one does. */
function expectNoLater(
  { request }: Operation,
  expected: { readonly nextDue?: number },
  actual: { readonly nextDue?: number },
): void {
  if (expected.nextDue === undefined) return;
  expect(actual.nextDue).toBeDefined();
  const { now } = request as contract.ClaimDueRequest;
  expect(actual.nextDue).toBeLessThanOrEqual(Math.max(expected.nextDue, now));
}
