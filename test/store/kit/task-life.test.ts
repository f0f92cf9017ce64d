/** The rules of tasks, one by one; and over random lives of a task, what must always be true. */
import { describe, expect, test } from "bun:test";
import * as life from "../../../src/store/kit/task-life.ts";
import { Chance } from "../../support/chance.ts";

const now = 1_000;
const task = { id: "t1", timeoutMs: 500, heartbeatMs: 0, queueTimeoutMs: 0 };
const worker = { tokenPrefix: "1.n", workerId: "w1", heartbeatMs: 100, now };
const token = "1.n.t1";

function queued(queueTimeoutMs = 0, held = false): life.TaskLife {
  return life.addTask({ ...task, queueTimeoutMs }, { held, now });
}

function leased(queueTimeoutMs = 0): life.TaskLife {
  return life.claimTask(queued(queueTimeoutMs), task, worker);
}

describe("terms of a lease", () => {
  const terms = [
    { own: 0, workers: 0, timeout: 500, until: 1_500, why: "without a heartbeat: the attempt" },
    { own: 0, workers: 100, timeout: 500, until: 1_100, why: "the worker's heartbeat" },
    { own: 50, workers: 100, timeout: 500, until: 1_050, why: "the task's own heartbeat wins" },
    { own: 200, workers: 100, timeout: 500, until: 1_200, why: "also when it is longer" },
    { own: 900, workers: 100, timeout: 500, until: 1_500, why: "never beyond the attempt" },
  ];
  test.each(terms)("$why", ({ own, workers, timeout, until }) => {
    const given = life.leaseTerms(
      { timeoutMs: timeout, heartbeatMs: own },
      { heartbeatMs: workers, now },
    );
    expect(given).toEqual({ leaseUntil: until, deadline: now + timeout });
  });
});

describe("a queue timeout", () => {
  test("runs while the task is on offer", () => {
    expect(queued(300)).toMatchObject({ state: "queued", until: now + 300, queueLeft: 300 });
    expect(queued(0).until).toBeNull();
  });

  test("does not begin while the execution is held", () => {
    expect(queued(300, true)).toMatchObject({ until: null, queueLeft: 300 });
  });

  test("stands still while the task is leased, and goes on after a release", () => {
    const later = life.claimTask(queued(300), task, { ...worker, now: now + 200 });
    expect(later.queueLeft).toBe(100);
    const { row } = life.releaseTask(later, { token, held: false, now: now + 400 });
    expect(row).toMatchObject({ state: "queued", until: now + 500, queueLeft: 100 });
  });

  test("stands still while the execution is held, also when a lease ends meanwhile", () => {
    const held = life.holdTask(queued(300), { held: true, now: now + 100 });
    expect(held).toMatchObject({ until: null, queueLeft: 200 });
    const again = life.holdTask(held, { held: false, now: now + 1_000 });
    expect(again).toMatchObject({ until: now + 1_200, queueLeft: 200 });
    const released = life.releaseTask(leased(300), { token, held: true, now: now + 100 });
    expect(released.row).toMatchObject({ state: "queued", until: null, queueLeft: 300 });
  });

  test("that has run out leaves nothing, not less", () => {
    const held = life.holdTask(queued(300), { held: true, now: now + 900 });
    expect(held.queueLeft).toBe(0);
  });

  test("of a handed-off task begins after its release", () => {
    const lease = { token, workerId: "w1", leaseUntil: now + 50, deadline: now + 500 };
    const row = life.addTask({ queueTimeoutMs: 300, lease }, { held: false, now });
    expect(row).toMatchObject({ state: "leased", until: now + 50, queueLeft: 300 });
  });
});

describe("a ticket", () => {
  const request = { ...worker, held: false };
  const claimed = { outcome: "claimed" as const };
  const unknown = { answer: { outcome: "unknown" as const } };

  test("claims a queued task once; its repeat finds the lease", () => {
    const first = life.claimByTicket(queued(), task, request);
    expect(first.answer).toEqual(claimed);
    expect(life.claimByTicket(first.row!, task, request)).toEqual({ answer: claimed });
    const others = { ...request, tokenPrefix: "2.n" };
    expect(life.claimByTicket(first.row!, task, others)).toEqual({
      answer: { outcome: "leased", leaseUntil: now + 100 },
    });
  });

  test("gives nothing of a held execution, and nothing that was dropped", () => {
    const held = { ...request, held: true };
    expect(life.claimByTicket(queued(), task, held)).toEqual({ answer: { outcome: "held" } });
    expect(life.claimByTicket(life.dropTask(leased())!, task, request)).toEqual(unknown);
  });

  test("brings no released lease back to life; another prefix claims the task", () => {
    const { row } = life.releaseTask(leased(), { token, held: false, now });
    expect(life.claimByTicket(row!, task, request)).toEqual(unknown);
    expect(life.claimByTicket(row!, task, { ...request, tokenPrefix: "2.n" }).answer).toEqual(
      claimed,
    );
  });
});

describe("an extension", () => {
  const extend = (row: life.TaskLife | undefined, changes = {}) =>
    life.extendLease(row, { token, until: now + 300, now, lateMs: 0, ...changes });
  const stale = { answer: { outcome: "stale" } } as const;

  test("moves the end, but never back and never past the deadline", () => {
    expect(extend(leased()).row?.until).toBe(now + 300);
    expect(extend(leased(), { until: now + 9_999 }).answer).toEqual({
      outcome: "extended",
      leaseUntil: now + 500,
    });
    expect(extend(leased(), { until: now + 1 })).toEqual({
      answer: { outcome: "extended", leaseUntil: now + 100 },
    });
  });

  test("counts at the end of the lease, and as much later as the caller may be", () => {
    expect(extend(leased(), { now: now + 100 }).answer.outcome).toBe("extended");
    expect(extend(leased(), { now: now + 101 })).toEqual(stale);
    expect(extend(leased(), { now: now + 150, lateMs: 50 }).answer.outcome).toBe("extended");
  });

  test("of another token, a released or an unknown task is stale", () => {
    expect(extend(leased(), { token: "2.n.t1" })).toEqual(stale);
    expect(extend(life.releaseTask(leased(), { token, held: false, now }).row)).toEqual(stale);
    expect(extend(undefined)).toEqual(stale);
  });

  test("of a dropped task is cancelled until its lease would have ended", () => {
    const dropped = life.dropTask(leased())!;
    expect(extend(dropped, { now: now + 100 })).toEqual({ answer: { outcome: "cancelled" } });
    expect(extend(dropped, { now: now + 101 })).toEqual(stale);
    expect([100, 101].map((ms) => life.isForgotten(dropped, now + ms))).toEqual([false, true]);
  });
});

describe("a release", () => {
  test("is repeated until the task is leased again", () => {
    const first = life.releaseTask(leased(), { token, held: false, now });
    const again = life.releaseTask(first.row, { token, held: false, now: now + 10 });
    expect(again).toEqual({ answer: "released" });
    const others = life.claimTask(first.row!, task, { ...worker, tokenPrefix: "2.n" });
    expect(life.releaseTask(others, { token, held: false, now })).toEqual({ answer: "stale" });
  });

  test("of a dropped or unknown task is stale", () => {
    const request = { token, held: false, now };
    expect(life.releaseTask(life.dropTask(leased()), request)).toEqual({ answer: "stale" });
    expect(life.releaseTask(undefined, request)).toEqual({ answer: "stale" });
  });
});

describe("a commit", () => {
  test("drops a queued task without a trace, and a leased one once", () => {
    expect(life.dropTask(queued())).toBeUndefined();
    const dropped = life.dropTask(leased())!;
    expect(dropped).toMatchObject({ state: "dropped", until: now + 100 });
    expect(life.dropTask(dropped)).toBe(dropped);
    expect(life.dueOf(dropped)).toBeNull();
  });

  test("settles exactly the present lease", () => {
    const held = false;
    expect(life.maySettle(leased(), { token, held })).toBe(true);
    expect(life.maySettle(leased(), { token, held: true })).toBe(true);
    for (const row of [undefined, queued(), life.dropTask(leased())]) {
      expect(life.maySettle(row, { token, held })).toBe(false);
    }
    expect(life.maySettle(leased(), { token: "2.n.t1", held })).toBe(false);
  });

  test("settles a task on offer without a token", () => {
    const held = false;
    expect(life.maySettle(queued(), { token: null, held })).toBe(true);
    expect(life.maySettle(queued(), { token: null, held: true })).toBe(false);
    for (const row of [undefined, leased(), life.dropTask(leased())]) {
      expect(life.maySettle(row, { token: null, held })).toBe(false);
    }
    const { row: released } = life.releaseTask(leased(), { token, held, now });
    expect(life.maySettle(released, { token: null, held })).toBe(true);
  });

  test("expires a lease, or a wait in the queue, only as it was seen", () => {
    const expire = (row: life.TaskLife | undefined, seen: string | null, until: number) =>
      life.mayExpire(row, { taskId: "t1", token: seen, until });
    expect(expire(leased(), token, now + 100)).toBe(true);
    expect(expire(leased(), token, now + 99)).toBe(false);
    expect(expire(leased(), null, now + 100)).toBe(false);
    expect(expire(queued(300), null, now + 300)).toBe(true);
    expect(expire(queued(300), token, now + 300)).toBe(false);
    expect(expire(life.dropTask(leased()), token, now + 100)).toBe(false);
    expect(expire(undefined, null, now)).toBe(false);
  });
});

/** One task, driven at random; `step` returns the outcome. */
class RandomLife {
  readonly chance: Chance;
  readonly timeouts: { readonly timeoutMs: number; readonly heartbeatMs: number };
  readonly queueTimeoutMs: number;
  row: life.TaskLife;
  held = false;
  now = 1_000;
  /** How long the task was on offer. */
  offeredMs = 0;
  #claims = 0;

  constructor(seed: number) {
    this.chance = new Chance(seed);
    this.timeouts = {
      timeoutMs: 50 + this.chance.below(500),
      heartbeatMs: this.chance.pick([0, 20, 200]),
    };
    this.queueTimeoutMs = this.chance.pick([0, 100, 1_000]);
    this.row = life.addTask({ queueTimeoutMs: this.queueTimeoutMs }, this);
  }

  step(): string {
    const ms = this.chance.below(60);
    if (this.row.state === "queued" && !this.held) this.offeredMs += ms;
    this.now += ms;
    const known = this.row.lease?.token ?? "none";
    const token = this.chance.percent(80) ? known : `x.${this.#claims}.t`;
    switch (this.chance.below(5)) {
      case 0: {
        const prefix = this.chance.percent(70) ? `1.${++this.#claims}` : `1.${this.#claims}`;
        const worker = { tokenPrefix: prefix, workerId: "w", heartbeatMs: 40, now: this.now };
        const { answer, row } = life.claimByTicket(
          this.row,
          { id: "t", ...this.timeouts },
          { ...worker, held: this.held },
        );
        this.row = row ?? this.row;
        return answer.outcome;
      }
      case 1: {
        const request = { token, until: this.now + this.chance.below(900), now: this.now };
        const { answer, row } = life.extendLease(this.row, { ...request, lateMs: 0 });
        this.row = row ?? this.row;
        return answer.outcome;
      }
      case 2: {
        const { answer, row } = life.releaseTask(this.row, {
          token,
          held: this.held,
          now: this.now,
        });
        this.row = row ?? this.row;
        return answer;
      }
      case 3: {
        const held = this.chance.percent(50);
        if (held !== this.held) this.row = life.holdTask(this.row, { held, now: this.now });
        this.held = held;
        return held ? "held" : "let go";
      }
      default: {
        if (this.chance.percent(85)) return "waited";
        this.row = life.dropTask(this.row) ?? this.row;
        return "dropped";
      }
    }
  }
}

describe("over random lives", () => {
  const lives = 300;

  test("queue time counts exactly the time on offer, and leases keep within their attempt", () => {
    const reached = new Set<string>();
    for (let seed = 1; seed <= lives; seed++) {
      const one = new RandomLife(seed);
      for (let step = 0; step < 40; step++) {
        const before = one.row;
        reached.add(one.step());
        const { state, until, queueLeft, lease } = one.row;
        if (state !== "queued" && lease === undefined) throw new Error(`seed ${seed}: no lease`);
        if (one.queueTimeoutMs === 0) expect(queueLeft).toBeNull();
        else if (state === "queued") {
          const left = Math.max(0, one.queueTimeoutMs - one.offeredMs);
          const present = one.held ? queueLeft : Math.max(0, (until as number) - one.now);
          expect({ seed, present }).toEqual({ seed, present: left });
        }
        if (state === "queued") expect(until === null).toBe(one.held || queueLeft === null);
        if (state === "leased") expect(until as number).toBeLessThanOrEqual(lease!.deadline);
        const isSameLease = before.state === "leased" && before.lease?.token === lease?.token;
        if (state === "leased" && isSameLease) {
          expect(until as number).toBeGreaterThanOrEqual(before.until as number);
        }
        // A tombstone changes no more.
        if (before.state === "dropped") expect(one.row).toEqual(before);
      }
    }
    const outcomes = [
      "claimed",
      "leased",
      "held",
      "unknown",
      "extended",
      "cancelled",
      "stale",
      "released",
    ];
    expect(outcomes.filter((outcome) => !reached.has(outcome))).toEqual([]);
  });

  test("the token that was released last is not leased again", () => {
    for (let seed = 1; seed <= lives; seed++) {
      const one = new RandomLife(seed);
      for (let step = 0; step < 40; step++) {
        const before = one.row;
        one.step();
        const { state, lease } = one.row;
        const isNewLease = before.state === "queued" && state === "leased";
        if (isNewLease) expect(lease?.token).not.toBe(before.lease?.token);
      }
    }
  });
});
