/**
 * The store contract as tests: every store passes the same ones. What a store cannot do is skipped
 * by name, with a reason that is printed. A bug found in one store becomes a case for all.
 */
import { test as bunTest, describe } from "bun:test";
import type { Store } from "../../src/store/store.ts";
import { dueTests } from "./conformance/due.ts";
import { executionTests } from "./conformance/executions.ts";
import { leaseTests } from "./conformance/leases.ts";
import { outboxTests } from "./conformance/outbox.ts";
import { recordTests } from "./conformance/records.ts";
import { removalTests } from "./conformance/removal.ts";
import { partitions, type Test } from "./conformance/subject.ts";

export interface Subject {
  readonly store: Store;
  /** Removes what the store left behind; called after it is closed. */
  cleanUp(): Promise<void>;
}

/** `open` answers an empty store each time. */
export function storeConformance(
  name: string,
  open: (options: { readonly partitions: number }) => Promise<Subject>,
  options: { readonly skip?: readonly { readonly test: string; readonly reason: string }[] } = {},
): void {
  const reasons = new Map(options.skip?.map((one) => [one.test, one.reason]));
  const test: Test = (title, body) => {
    const reason = reasons.get(title);
    reasons.delete(title);
    if (reason !== undefined) {
      bunTest.skip(`${title} (${reason})`, () => {});
      return;
    }
    bunTest(title, async () => {
      const subject = await open({ partitions });
      try {
        await body(subject.store);
      } finally {
        await subject.store.close();
        await subject.cleanUp();
      }
    });
  };
  describe(`${name} keeps the store contract`, () => {
    for (const register of [executionTests, leaseTests, dueTests, outboxTests]) register(test);
    for (const register of [removalTests, recordTests]) register(test);
    for (const title of reasons.keys()) throw new Error(`No test to skip is called "${title}".`);
  });
}
