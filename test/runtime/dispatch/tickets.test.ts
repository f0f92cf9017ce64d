/** How tickets are received: long waits while the broker is there, and short ones until it is back. */
import { expect, test } from "bun:test";
import type { TicketQueue } from "../../../src/queue/queue.ts";
import { Tickets } from "../../../src/runtime/dispatch/tickets.ts";
import { createLogger } from "../../../src/telemetry/log.ts";
import { HandClock } from "../../support/hand-clock.ts";

test("a broker that is back is noticed within seconds, also by a queue that gets no tickets", async () => {
  const clock = new HandClock();
  const waits: number[] = [];
  let isThere = false;
  const broker: TicketQueue = {
    traits: { name: "Kafka", competing: false },
    async offer() {},
    async receive({ waitMs }) {
      if (!isThere) throw new Error("away");
      waits.push(waitMs);
      await new Promise<void>((resolve) => clock.after(waitMs, resolve));
      return [];
    },
    async settle() {},
    async giveBack() {},
    creation: () => "",
    async close() {},
  };
  const tickets = new Tickets({
    broker,
    clock,
    log: createLogger({ level: "silent", clock, write() {} }),
    claims: { roomFor: () => 1, claim: async () => "stale" },
    hint() {},
    countTickets() {},
  });
  tickets.wanted(["orchy/a"], { looks: false });
  await clock.pass(3_600_000);
  expect(tickets.isAway).toBe(true);
  isThere = true;
  await clock.pass(10_000);
  expect(tickets.isAway).toBe(false);
  await clock.pass(60_000);
  expect([waits[0], waits.at(-1)]).toEqual([1_000, 20_000]);
  tickets.stop();
});
