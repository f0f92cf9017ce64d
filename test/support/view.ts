/** Data for templates and references in tests. */
import type { Scope } from "../../src/language/data/scope.ts";

export function viewOf(data: { input?: string; outputs?: Record<string, string> }): Scope {
  const outputs = new Map(Object.entries(data.outputs ?? {}));
  return {
    input: data.input ?? "null",
    execution: '{"id":"e-1","workflow":"order","version":3,"startedAt":"2030-01-31T12:00:00.000Z"}',
    output: (key) => outputs.get(key),
    facts: () => undefined,
    actionKeys: () => [...outputs.keys()],
  };
}
