/** The load: starts of all kinds through any server, and what clients do to them afterwards. */
import type { Chance } from "../support/chance.ts";
import type { Client } from "./client.ts";
import type { Hands } from "./hands.ts";
import type { Kind } from "./kind.ts";
import type { Ledger, Story } from "./ledger.ts";
import { kinds } from "./workflows.ts";

export interface LoadOptions {
  readonly client: Client;
  readonly ledger: Ledger;
  readonly chance: Chance;
  readonly startsPerSecond: number;
  readonly hands: Hands;
}

const poisonEveryMs = 12_000;
/** No more than these are begun: without answers they would pile up. */
const underWayMax = 300;

export class Load {
  readonly #options: LoadOptions;
  readonly #underWay = new Set<Promise<void>>();
  readonly #lottery: readonly Kind[] = kinds.flatMap((kind) => Array(kind.weight).fill(kind));
  readonly #prefix: string;
  #count = 0;

  constructor(options: LoadOptions, prefix: string) {
    this.#options = options;
    this.#prefix = prefix;
  }

  /** Until the signal says stop; then until everything that was begun has been answered. */
  async run(stop: AbortSignal): Promise<void> {
    const { chance, startsPerSecond } = this.#options;
    const poison = kinds.find(({ name }) => name === "poison") as Kind;
    let nextPoisonMs = performance.now() + poisonEveryMs / 3;
    while (!stop.aborted) {
      if (this.#underWay.size < underWayMax) this.#begin(chance.pick(this.#lottery));
      if (performance.now() > nextPoisonMs) {
        nextPoisonMs += poisonEveryMs;
        this.#begin(poison);
      }
      await Bun.sleep(1_000 / startsPerSecond);
    }
    await Promise.all(this.#underWay);
  }

  #begin(kind: Kind): void {
    const work = this.#live(kind).finally(() => this.#underWay.delete(work));
    this.#underWay.add(work);
  }

  async #live(kind: Kind): Promise<void> {
    const story = await this.#start(kind);
    if (story === undefined) return;
    switch (kind.afterwards) {
      case "signal":
        for (const event of kind.events ?? []) await this.#signal(story, event);
        return;
      case "pause":
        await this.operate(story, "pause");
        await Bun.sleep(this.#options.chance.below(1_500));
        await this.operate(story, "resume");
        return;
      case "cancel":
        await this.operate(story, "cancel");
        return;
      case "delete":
        return this.#delete(story);
      case undefined:
        if (this.#options.chance.percent(20)) await this.#read(story);
        return;
      default:
        return this.#options.hands.work(story, kind.afterwards);
    }
  }

  /** Now and then by two calls at once: the key makes them one start. */
  async #start(kind: Kind): Promise<Story | undefined> {
    const { client, ledger, chance } = this.#options;
    const n = ++this.#count;
    const key = `${this.#prefix}-${n}`;
    const route = chance.pick(["a", "b", "other"]);
    const story: Story = { kind, key, n, route, signals: [], deeds: [], done: new Set() };
    ledger.stories.push(story);
    const send = async () => {
      const answer = await client.surely({
        method: "POST",
        path: "/v1/executions",
        headers: { "idempotency-key": key },
        body: {
          workflow: `chaos-${kind.name}`,
          input: { n, route, items: [1, 2, 3] },
          correlationId: key,
        },
      });
      if (answer === undefined) return;
      // What was removed in between, as it should be, was started before.
      if (answer.status === 410 && kind.vanishes) return;
      if (answer.status >= 300) {
        ledger.violate(`the start ${key} was refused: ${JSON.stringify(answer)}`);
      } else ledger.started(story, answer.body.id);
    };
    await Promise.all(Array.from({ length: chance.percent(10) ? 2 : 1 }, send));
    return story.id === undefined ? undefined : story;
  }

  async #signal(story: Story, event: string): Promise<void> {
    const { client, ledger, chance } = this.#options;
    const signal: Story["signals"][number] = { event, signalId: `${story.key}-${event}` };
    story.signals.push(signal);
    const payload = { from: signal.signalId };
    const path = `/v1/executions/${story.id}/signal`;
    const body = { event, payload, signalId: signal.signalId };
    const send = async () => {
      const answer = await client.surely({ method: "POST", path, body });
      if (answer === undefined) return;
      if (answer.status < 300) signal.acknowledgedAt ??= Date.now();
      else if (answer.status === 404) ledger.lost("start", `${story.id} is gone at its signal`);
      else if (answer.body?.error?.code !== "INVALID_STATE") {
        ledger.violate(`the signal to ${story.id} was refused: ${JSON.stringify(answer)}`);
      }
    };
    await Promise.all(Array.from({ length: chance.percent(20) ? 2 : 1 }, send));
  }

  async operate(story: Story, operation: "pause" | "resume" | "cancel"): Promise<void> {
    const { client, ledger } = this.#options;
    const path = `/v1/executions/${story.id}/${operation}`;
    const body = { operationId: `${story.key}-${operation}` };
    const answer = await client.surely({ method: "POST", path, body });
    if (answer === undefined) return;
    if (answer.status < 300) story.done.add(operation);
    else if (answer.status === 404) ledger.lost("start", `${story.id} is gone at ${operation}`);
    // Most of them have ended by then, which is said so.
    else if (answer.body?.error?.code !== "INVALID_STATE") {
      ledger.violate(`${operation} of ${story.id} was refused: ${JSON.stringify(answer)}`);
    }
  }

  /** What has ended once stays so. */
  async #read(story: Story): Promise<string | undefined> {
    const { client, ledger } = this.#options;
    const answer = await client.attempt({
      method: "GET",
      path: `/v1/executions/${story.id}/result?wait=10`,
      timeoutMs: 12_000,
    });
    if (answer?.status === 404) ledger.lost("start", `${story.id} is gone when it is read`);
    if (answer?.status === 200) {
      const { status } = answer.body;
      if (story.seenEnd !== undefined && story.seenEnd !== status) {
        ledger.lost("end", `${story.id} was ${story.seenEnd}, and is ${status}`);
      }
      story.seenEnd ??= status;
    }
    return story.seenEnd;
  }

  async #delete(story: Story): Promise<void> {
    const { client, ledger } = this.#options;
    const giveUpAt = performance.now() + 60_000;
    while ((await this.#read(story)) === undefined) {
      // It is found at the end whether it is stuck.
      if (performance.now() > giveUpAt) return;
      await Bun.sleep(500);
    }
    const path = `/v1/executions/${story.id}`;
    for (;;) {
      const answer = await client.surely({ method: "DELETE", path });
      if (answer === undefined) return;
      if (answer.status < 300 || answer.status === 410) story.done.add("delete");
      else if (answer.status === 409 && ledger.forgives && performance.now() < giveUpAt) {
        // The failover has lost its end: it comes again.
        await Bun.sleep(500);
        continue;
      } else if (answer.status === 404) ledger.lost("start", `${story.id} is gone at its end`);
      else ledger.violate(`${story.id} cannot be deleted: ${JSON.stringify(answer)}`);
      return;
    }
  }
}
