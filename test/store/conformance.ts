/**
 * The store contract as tests: every store passes the same ones. What a store cannot do is skipped
 * by name, with a reason that is printed. A bug found in one store becomes a case for all.
 */
import { test as bunTest, describe } from "bun:test";
import { type Facet, facetOf } from "../../src/store/facets.ts";
import type { Store } from "../../src/store/store.ts";
import { bounded } from "../support/bounded.ts";
import { partitions, type Test } from "./conformance/subject.ts";
import { allFacets, suites } from "./conformance/suites.ts";

export interface Subject {
  /** Has at least the facets that are tested. */
  readonly store: Partial<Store>;
  /** Removes what the store left behind; called after it is closed. */
  cleanUp(): Promise<void>;
}

interface ConformanceOptions {
  readonly skip?: readonly { readonly test: string; readonly reason: string }[];
  /** Those that are built already; absent: all. */
  readonly facets?: readonly Facet[];
}

/** `open` returns an empty store each time. */
export function storeConformance(
  name: string,
  open: (options: { readonly partitions: number }) => Promise<Subject>,
  { skip = [], facets = allFacets }: ConformanceOptions = {},
): void {
  const reasons = new Map(skip.map((one) => [one.test, one.reason]));
  const testOf = (needed: readonly Facet[]): Test =>
    Object.assign(
      (title: string, body: (store: Store) => Promise<void>) => {
        const reason = reasons.get(title);
        reasons.delete(title);
        if (!needed.every((facet) => facets.includes(facet))) return;
        if (reason !== undefined) {
          bunTest.skip(`${title} (${reason})`, () => {});
          return;
        }
        bunTest(title, async () => {
          const subject = await open({ partitions });
          try {
            await body(only(bounded(subject.store), needed));
          } finally {
            await subject.store.close?.();
            await subject.cleanUp();
          }
        });
      },
      { also: (...more: readonly Facet[]) => testOf([...needed, ...more]) },
    );
  describe(`${name} keeps the store contract`, () => {
    for (const [facet, { on, registers }] of Object.entries(suites)) {
      for (const register of registers) register(testOf([facet as Facet, ...on]));
    }
    for (const title of reasons.keys()) throw new Error(`No test to skip is called "${title}".`);
  });
}

/** Calls of other facets fail: a suite names all that a store must have to pass it. */
function only(store: Partial<Store>, needed: readonly Facet[]): Store {
  return new Proxy(store as Store, {
    get(target, property) {
      const facet = (facetOf as Readonly<Record<PropertyKey, Facet>>)[property];
      if (facet !== undefined && !needed.includes(facet)) {
        throw new Error(
          `This test does not name the facet "${facet}", and calls ${String(property)}.`,
        );
      }
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
