/** Workflows of the chaos run on which people work by hand, and what must come of it. */
import { chain, chainLinks, counts, type Kind, run, step, workflow } from "./kind.ts";

/** What is done to `hold` by hand decides which of the others runs. */
function byHand(name: string, hold: object, children?: Kind["children"]): Kind {
  return {
    name: `hand-${name}`,
    weight: 3,
    ends: "COMPLETED",
    afterwards: "by-hand",
    ...(children && { children }),
    definition: workflow(`hand-${name}`, "hold", [
      { id: "hold", next: { default: "done" }, onError: { BY_HAND: "instead" }, ...hold },
      step("done", { parameters: { saw: "$.hold.output.by" } }),
      step("instead", { parameters: { saw: "$.execution.error.message" } }),
    ]),
  };
}

const holdWait = { type: "system", name: "wait", event: "never", timeoutSeconds: 600 };

export const operated: readonly Kind[] = [
  byHand("wait", holdWait),
  byHand("task", { type: "user", name: "chaos-nobody" }),
  byHand(
    "child",
    { type: "system", name: "workflow", workflow: "chaos-endless" },
    { hold: { count: 1, ends: "CANCELLED" } },
  ),
  byHand(
    "map",
    { type: "system", name: "map", items: "$.input.items", workflow: "chaos-endless" },
    { hold: { count: 3, ends: "CANCELLED" } },
  ),
  {
    name: "retried",
    weight: 4,
    ends: "COMPLETED",
    afterwards: "retry",
    check: counts("end", 1),
    definition: workflow("retried", "hold", [
      { id: "hold", ...holdWait, next: { default: "end" } },
      step("end", { parameters: { saw: "$.hold.output.by" } }),
    ]),
  },
  {
    name: "resumed",
    weight: 4,
    ends: "COMPLETED",
    afterwards: "retry-child",
    children: { child: { count: 1, output: ({ data }) => data.child?.output } },
    links: [["end", "child"]],
    check: counts("end", 2),
    definition: workflow("resumed", "child", [
      run("child", "retried", { parameters: { n: "$.input.n" }, next: { default: "end" } }),
      step("end", { after: "child" }),
    ]),
  },
  {
    name: "rerun",
    weight: 4,
    ends: "COMPLETED",
    afterwards: "rerun",
    links: chainLinks(3),
    check: counts("s2", 3),
    completions: { s0: 1, s1: 2, s2: 2 },
    definition: chain("rerun", 3),
  },
  {
    name: "fork",
    weight: 4,
    ends: "COMPLETED",
    afterwards: "fork",
    links: chainLinks(3),
    check: counts("s2", 3),
    completions: { s0: 1, s1: 1, s2: 1 },
    definition: chain("fork", 3),
  },
  {
    name: "retry-now",
    weight: 3,
    ends: "COMPLETED",
    afterwards: "retry-now",
    check: counts("try", 1),
    definition: workflow("retry-now", "try", [
      step("try", {
        name: "chaos-flaky",
        parameters: { failures: 1 },
        rules: { retry: { retryAfterSeconds: 600, maxRetryAfterSeconds: 600 } },
      }),
    ]),
  },
];
