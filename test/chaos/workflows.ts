/**
 * The workflows of the chaos run, and what each must have come to, whatever went wrong meanwhile.
 * Steps pass on `n`, which counts them, and the name of the run that they read: a result that was
 * applied twice, or half, would show as a step that saw another run than the one that is stored.
 */
import { composed, helpers } from "./composed.ts";
import {
  chain,
  chainLinks,
  counts,
  failsWith,
  type Kind,
  type Shown,
  step,
  system,
  workflow,
} from "./kind.ts";
import { operated } from "./operated.ts";

/** Rules of its actions: attempts that faults have ended cost little, and there are plenty. */
export const patience = {
  concurrency: 50,
  heartbeatSeconds: 2,
  timeoutSeconds: 15,
  retryCount: 200,
  retryAfterSeconds: 0.3,
  retryPolicy: "FIXED",
} as const;

/** A wait that its signal has not reached by then goes on without it. */
export const waitSeconds = 45;

function fanCheck(shown: Shown): string | undefined {
  const { data, input } = shown;
  const wrong = ["b0", "b1", "b2", "b3"].filter((id) => data[id]?.output?.n !== input.n + 2);
  if (wrong.length > 0) return `${wrong.join(", ")} have a wrong n`;
  return counts("end", 3)(shown);
}

function switchCheck({ actions, input }: Shown): string | undefined {
  const chosen = input.route === "a" ? "a" : "b";
  const ran = actions.filter(({ id, status }) => "ab".includes(id) && status === "COMPLETED");
  return ran.length === 1 && ran[0]?.id === chosen
    ? undefined
    : `${ran.map(({ id }) => id).join(", ")} ran, not ${chosen} alone`;
}

const branches = ["b0", "b1", "b2", "b3"];

function waiting(name: string, events: readonly string[]): object {
  const waits = events.map((event) =>
    system(event, "wait", { event, timeoutSeconds: waitSeconds, next: { default: "end" } }),
  );
  return workflow(name, [...events], [...waits, step("end")]);
}

export const kinds: readonly Kind[] = [
  {
    name: "chain",
    weight: 20,
    ends: "COMPLETED",
    definition: chain("chain", 5),
    links: chainLinks(5),
    check: counts("s4", 5),
  },
  {
    name: "fan",
    weight: 10,
    ends: "COMPLETED",
    check: fanCheck,
    definition: workflow("fan", "root", [
      step("root", { next: [...branches, "pause"] }),
      ...branches.map((id) => step(id, { after: "root", next: ["end"] })),
      system("pause", "delay", { delaySeconds: 0.3, next: { default: "end" } }),
      step("end", { after: "b3" }),
    ]),
    links: [...branches.map((id) => [id, "root"] as const), ["end", "b3"]],
  },
  {
    name: "switch",
    weight: 8,
    ends: "COMPLETED",
    check: switchCheck,
    definition: workflow("switch", "script", [
      system("script", "javascript", {
        expression: "$.next = $.input.n + 1;",
        next: { default: "choose" },
      }),
      system("choose", "switch", {
        expression: "$.input.route",
        next: { a: "a", default: "b" },
      }),
      step("a", { next: ["end"] }),
      step("b", { next: ["end"] }),
      step("end", { parameters: { n: "$.script.output.next" } }),
    ]),
  },
  {
    name: "delay",
    weight: 8,
    ends: "COMPLETED",
    check: counts("end", 1),
    definition: workflow("delay", "delay", [
      system("delay", "delay", { delaySeconds: 1.5, next: { default: "end" } }),
      step("end"),
    ]),
  },
  {
    name: "wait",
    weight: 12,
    ends: "COMPLETED",
    afterwards: "signal",
    events: ["go"],
    definition: waiting("wait", ["go"]),
    check: counts("end", 1),
  },
  {
    name: "waits",
    weight: 6,
    ends: "COMPLETED",
    afterwards: "signal",
    events: ["one", "two"],
    definition: waiting("waits", ["one", "two"]),
    check: counts("end", 1),
  },
  {
    name: "flaky",
    weight: 6,
    ends: "COMPLETED",
    links: [["end", "try"]],
    definition: workflow("flaky", "try", [
      step("try", { name: "chaos-flaky", parameters: { failures: 2 }, next: ["end"] }),
      step("end", { after: "try" }),
    ]),
    check: counts("end", 2),
  },
  {
    name: "slow",
    weight: 8,
    ends: "COMPLETED",
    links: [["end", "slow"]],
    definition: workflow("slow", "slow", [
      step("slow", { name: "chaos-slow", parameters: { ms: 1_500 }, next: ["end"] }),
      step("end", { after: "slow" }),
    ]),
    check: counts("end", 2),
  },
  {
    name: "on-error",
    weight: 5,
    ends: "COMPLETED",
    check: counts("end", 1),
    definition: workflow("on-error", "fail", [
      step("fail", { name: "chaos-fail", rules: { onError: { DECLINED: "end" } } }),
      step("end"),
    ]),
  },
  {
    name: "optional",
    weight: 5,
    ends: "COMPLETED",
    check: counts("end", 1),
    definition: workflow("optional", "fail", [
      step("fail", { name: "chaos-fail", next: ["end"], rules: { optional: true } }),
      step("end"),
    ]),
  },
  {
    name: "fail",
    weight: 3,
    ends: "FAILED",
    check: failsWith("DECLINED"),
    definition: workflow("fail", "fail", [step("fail", { name: "chaos-fail" })]),
  },
  {
    name: "pause",
    weight: 5,
    ends: "COMPLETED",
    afterwards: "pause",
    definition: chain("pause", 4),
    links: chainLinks(4),
    check: counts("s3", 4),
  },
  {
    name: "cancel",
    weight: 4,
    ends: "CANCELLED",
    afterwards: "cancel",
    definition: workflow("cancel", "never", [
      system("never", "wait", { event: "never", timeoutSeconds: 60 }),
    ]),
  },
  {
    name: "delete",
    weight: 4,
    ends: "COMPLETED",
    afterwards: "delete",
    vanishes: true,
    definition: chain("delete", 2),
  },
  {
    name: "vanish",
    weight: 4,
    ends: "COMPLETED",
    vanishes: true,
    definition: chain("vanish", 2, { onSuccess: "DELETE" }),
  },
  {
    name: "followed",
    weight: 6,
    ends: "COMPLETED",
    hasFollowUp: true,
    links: chainLinks(2),
    check: counts("s1", 2),
    definition: chain("followed", 2, {
      onSuccess: { workflow: "chaos-after", parameters: { n: "$.s1.output.n" } },
    }),
  },
  {
    // One at a time, and now and then: each kills three workers.
    ...{ name: "poison", weight: 0, ends: "FAILED" },
    definition: workflow("poison", "poison", [step("poison", { name: "chaos-poison" })]),
    check: failsWith("HEARTBEAT_LOST", "TIMEOUT"),
  },
  {
    name: "rude",
    weight: 6,
    ends: "COMPLETED",
    definition: workflow("rude", "rude", [step("rude", { name: "chaos-rude" })]),
  },
  ...composed,
  ...operated,
];

/** Started by others only; `chaos-after` by their ends, `chaos-source` by messages. */
export const startedByOthers: readonly object[] = [
  chain("after", 1),
  chain("source", 1),
  ...helpers,
];
