/**
 * The rule by which hints are struck, in every order in which the primitives of a writer, a rival and two
 * followers can take effect, wherever the writer crashes: no task is without a hint.
 */
import { describe, expect, test } from "bun:test";
import { verdictOn } from "../../../src/store/records/hints.ts";

interface World {
  /** Of the head. */
  readonly version: number;
  /** The place of the hint for the task that the head holds; 0: it holds none. */
  readonly task: number;
  /** Versions by place; what is not there has been struck, or was never posted. */
  readonly hints: Readonly<Record<number, number>>;
}

/** One primitive: what it makes of the world, and what its actor does next. */
type Step = (world: World) => readonly Next[];
interface Next {
  readonly world: World;
  /** Absent: the actor has ended. */
  readonly step?: Step;
  /** Distinguishes states of the actor. */
  readonly at?: string;
}

interface Rules {
  readonly hintFirst: boolean;
  readonly verdict: typeof verdictOn;
}

const ended = (world: World): readonly Next[] => [{ world }];

function strike(world: World, place: number): World {
  const { [place]: _, ...hints } = world.hints;
  return { ...world, hints };
}

/** Adds a task; once more on what is there, if somebody else was faster. */
function writer({ hintFirst }: Rules, place = 1, known = 1): Step {
  const version = known + 1;
  const post = (step?: Step): Step => {
    return (world) => {
      const next = { ...world, hints: { ...world.hints, [place]: version } };
      return step === undefined ? ended(next) : [{ world: next, step, at: `w${place} ${version}` }];
    };
  };
  const change = (step?: Step): Step => {
    return (world) => {
      if (world.version === known) {
        const next = { ...world, version, task: place };
        return step === undefined ? ended(next) : [{ world: next, step, at: `p${place}` }];
      }
      if (place > 1) return ended(world);
      const again = writer({ hintFirst, verdict: verdictOn }, place + 1, world.version);
      return [{ world, step: again, at: `again ${world.version}` }];
    };
  };
  return hintFirst ? post(change()) : change(post());
}

/** Changes something else of the head. */
const rival: Step = (read) => [
  {
    world: read,
    at: `r${read.version}`,
    step: (world) =>
      ended(world.version === read.version ? { ...world, version: world.version + 1 } : world),
  },
];

/** Follows one of the hints, soon or late. */
function follower({ verdict }: Rules): Step {
  const ages = [0, 60_000];
  return (scanned) => [
    ...ended(scanned),
    ...Object.entries(scanned.hints).flatMap(([place, version]) =>
      ages.map((age) => ({
        world: scanned,
        at: `f${place} ${version} ${age}`,
        step: look(Number(place), version, age),
      })),
    ),
  ];

  function look(place: number, version: number, age: number): Step {
    return (read) => {
      if (read.task > 0) return ended(read);
      const hint = { id: "e1", version };
      const step: Step = (world) => ended(strike(world, place));
      switch (verdict(hint, read.version, version + age)) {
        case "strike":
          return [{ world: read, step, at: `s${place}` }];
        case "fence":
          return [
            { world: read, step: fence(read.version, step), at: `c${place} ${read.version}` },
          ];
        default:
          return ended(read);
      }
    };
  }

  function fence(known: number, step: Step): Step {
    return (world) =>
      world.version === known
        ? [{ world: { ...world, version: known + 1 }, step, at: `fenced ${known}` }]
        : ended(world);
  }
}

/** How many ends there are, and in how many of them the task has no hint. */
function explore(rules: Rules) {
  const seen = new Set<string>();
  const counts = { ends: 0, lost: 0 };
  const visit = (world: World, actors: readonly (Next | undefined)[]): void => {
    const name = JSON.stringify([world, actors.map((actor) => actor?.at)]);
    if (seen.has(name)) return;
    seen.add(name);
    // It may all end here: the writer has crashed, and nobody else is at work.
    counts.ends += 1;
    if (world.task > 0 && world.hints[world.task] === undefined && isOver(actors)) counts.lost += 1;
    for (const [i, actor] of actors.entries()) {
      for (const next of actor?.step?.(world) ?? []) {
        const left = next.step === undefined ? undefined : next;
        visit(next.world, actors.with(i, left));
      }
    }
  };
  /** Only the writer, which may crash, has something left to do. */
  const isOver = ([, ...others]: readonly (Next | undefined)[]) => others.every((one) => !one);
  const world = { version: 1, task: 0, hints: {} };
  const start = (step: Step, at: string): Next => ({ world, step, at });
  visit(world, [
    start(writer(rules), "w"),
    start(rival, "r"),
    start(follower(rules), "f1"),
    start(follower(rules), "f2"),
  ]);
  return counts;
}

describe("in every order of a writer, a rival and two followers", () => {
  test("no task is without a hint", () => {
    const { ends, lost } = explore({ hintFirst: true, verdict: verdictOn });
    expect(ends).toBeGreaterThan(1_000);
    expect(lost).toBe(0);
  });

  test("one is, where a hint is struck that leads to nothing yet", () => {
    expect(explore({ hintFirst: true, verdict: () => "strike" }).lost).toBeGreaterThan(0);
  });

  test("one is, where the head is written before the hint", () => {
    expect(explore({ hintFirst: false, verdict: verdictOn }).lost).toBeGreaterThan(0);
  });
});
