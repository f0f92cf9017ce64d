/** Whether what an execution has started came to what it had to come to. */
import { isDeepStrictEqual } from "node:util";
import type { Shown } from "./kind.ts";
import type { Story } from "./ledger.ts";

/** One sentence for each thing that is wrong. */
export function judgeFamily(
  { kind }: Story,
  parent: Shown,
  children: readonly Shown[],
): readonly string[] {
  const problems: string[] = [];
  for (const [action, { count, ends = "COMPLETED", output }] of Object.entries(
    kind.children ?? {},
  )) {
    const own = children.filter((child) => child.parent?.action === action);
    const isRight = ends === "CANCELLED" ? own.length <= count : own.length === count;
    if (!isRight) problems.push(`${action} has started ${own.length} executions, not ${count}`);
    for (const child of own) {
      const item = child.parent?.item ?? 0;
      if (child.status !== ends) problems.push(`its child ${child.id} is ${child.status}`);
      else if (output !== undefined && !isDeepStrictEqual(output(parent, item), child.result)) {
        const [taken, is] = [output(parent, item), child.result].map((one) => JSON.stringify(one));
        problems.push(`it has ${taken} of ${child.id}, whose result is ${is}`);
      }
    }
    const items = new Set(own.map((child) => child.parent?.item));
    if (own.some((child) => child.parent?.item !== undefined) && items.size < own.length) {
      problems.push(`${action} has several children for one item`);
    }
  }
  return problems;
}

/** It was forked before s2: all before that is the same, and s2 has run again. */
export function judgeFork(original: Shown, fork: Shown): readonly string[] {
  const problems: string[] = [];
  if (fork.status !== "COMPLETED") problems.push(`its fork ${fork.id} is ${fork.status}`);
  for (const id of ["s0", "s1"]) {
    if (isDeepStrictEqual(fork.data[id]?.output, original.data[id]?.output)) continue;
    problems.push(`its fork ${fork.id} has another output of ${id}`);
  }
  const [own, old] = [fork.data.s2?.output, original.data.s2?.output];
  if (own?.saw !== old?.saw || own?.run === old?.run) {
    problems.push(`s2 of its fork put out ${JSON.stringify(own)}`);
  }
  return problems;
}
