/** What people do by hand in the chaos run: to open actions, and to executions that have ended. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Chance } from "../support/chance.ts";
import type { Answer, Client } from "./client.ts";
import type { ByHand, Shown } from "./kind.ts";
import type { Ledger, Story } from "./ledger.ts";

/** Where it is a file, the items of this execution's map do not fail any more. */
export function gateOf(folder: string, executionId: string): string {
  return join(folder, `gate-${executionId}`);
}

interface Options {
  readonly client: Client;
  readonly ledger: Ledger;
  readonly chance: Chance;
  /** That workers see, too. */
  readonly folder: string;
}

/** What is not so by then is found at the end. */
const patienceMs = 90_000;
const lookEveryMs = 300;

const ends: ReadonlySet<string> = new Set(["COMPLETED", "FAILED", "TIMED_OUT", "CANCELLED"]);

export class Hands {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  async work(story: Story, what: ByHand): Promise<void> {
    switch (what) {
      case "by-hand":
        return this.#one(story);
      case "retry":
        return this.#failAndRetry(story);
      case "retry-child":
        return this.#retryChild(story);
      case "open-and-retry":
        return this.#openAndRetry(story);
      case "rerun":
        if (!(await this.#until(story, ({ status }) => status === "COMPLETED"))) return;
        await this.#do(story, "rerun", "rerun", { action: "s1" });
        return;
      case "fork":
        return this.#fork(story);
      default:
        return this.#retryNow(story);
    }
  }

  /** Some time after the start, so that the children of the action may have been started. */
  async #one(story: Story): Promise<void> {
    await Bun.sleep(this.#options.chance.below(1_500));
    await this.#onHold(story, this.#options.chance.pick(["skip", "complete", "fail"]));
  }

  async #onHold(story: Story, operation: "skip" | "complete" | "fail"): Promise<void> {
    const by = idOf(story, operation);
    const more = operation === "fail" ? { code: "BY_HAND", message: by } : { output: { by } };
    await this.#do(story, operation, `actions/hold/${operation}`, more);
  }

  async #failAndRetry(story: Story): Promise<void> {
    await this.#onHold(story, "fail");
    // A parent may have heard of it by then, or not.
    if (this.#options.chance.percent(50)) await Bun.sleep(this.#options.chance.below(1_500));
    await this.#do(story, "retry", "retry", {});
    await this.#onHold(story, "complete");
  }

  /** The parent fails because of it, and waits for it again. */
  async #retryChild(story: Story): Promise<void> {
    const shown = await this.#until(story, ({ actions }) => actions[0]?.child !== undefined);
    const childId = shown?.actions[0]?.child;
    if (childId === undefined) return;
    story.childId = childId;
    // It may not have been started yet.
    if (await this.#until(story, () => true, childId)) await this.#failAndRetry(story);
  }

  /** The results of the items that have completed stay. */
  async #openAndRetry(story: Story): Promise<void> {
    if (!(await this.#until(story, ({ status }) => status === "FAILED"))) return;
    const path = `/v1/executions/${story.id}/actions/map/items?status=COMPLETED&limit=100`;
    const answer = await this.#options.client.surely({ method: "GET", path });
    const items = (answer?.body.items ?? []) as { index: number; output: unknown }[];
    story.kept = new Map(items.map(({ index, output }) => [index, output]));
    writeFileSync(gateOf(this.#options.folder, `${story.id}`), "");
    await this.#do(story, "retry", "retry", {});
  }

  async #fork(story: Story): Promise<void> {
    if (!(await this.#until(story, ({ status }) => status === "COMPLETED"))) return;
    const operationId = idOf(story, "fork");
    const call = {
      method: "POST",
      path: `/v1/executions/${story.id}/fork`,
      body: { action: "s2", operationId, reason: operationId },
    };
    await this.#twice(async () => {
      const answer = await this.#options.client.surely(call);
      if (answer === undefined) return;
      const id: string | undefined = answer.body?.id;
      if (answer.status >= 300 || id === undefined) {
        return this.#refused(story, operationId, answer);
      }
      story.forkId ??= id;
      if (story.forkId !== id) {
        this.#options.ledger.violate(`${operationId} has started ${story.forkId} and ${id}`);
      }
    });
  }

  /** Its backoffs are longer than the run: nothing but this ends them. */
  async #retryNow(story: Story): Promise<void> {
    for (let count = 1; ; count++) {
      const shown = await this.#until(
        story,
        ({ status, actions }) => ends.has(status) || actions[0]?.status === "RETRYING",
      );
      if (shown === undefined || ends.has(shown.status)) return;
      await this.#do(story, "retry-now", "actions/try/retry-now", {}, `retry-now-${count}`);
    }
  }

  async #until(
    story: Story,
    isSo: (shown: Shown) => boolean,
    id = story.id,
  ): Promise<Shown | undefined> {
    const giveUpAt = performance.now() + patienceMs;
    while (performance.now() < giveUpAt) {
      const path = `/v1/executions/${id}`;
      const answer = await this.#options.client.attempt({ method: "GET", path });
      if (answer?.status === 200 && isSo(answer.body)) return answer.body;
      await Bun.sleep(lookEveryMs);
    }
    return undefined;
  }

  /** By two calls at once now and then, or again when it has been acknowledged: it is done once. */
  async #do(
    story: Story,
    operation: string,
    route: string,
    more: object,
    name = operation,
  ): Promise<void> {
    const operationId = idOf(story, name);
    const deed: Story["deeds"][number] = { operation, operationId, isAcknowledged: false };
    story.deeds.push(deed);
    const path = `/v1/executions/${story.childId ?? story.id}/${route}`;
    const body = { ...more, operationId, reason: operationId };
    await this.#twice(async () => {
      const answer = await this.#options.client.surely({ method: "POST", path, body });
      if (answer === undefined) return;
      if (answer.status < 300) deed.isAcknowledged = true;
      // A backoff may have ended meanwhile, as a lease did.
      else if (operation !== "retry-now") this.#refused(story, operationId, answer);
    });
    const { client, ledger, chance } = this.#options;
    if (!deed.isAcknowledged || ledger.forgives || !chance.percent(10)) return;
    const other = { ...body, reason: "another" };
    const answer = await client.surely({ method: "POST", path, body: other });
    if (answer === undefined || answer.body?.error?.code === "CONFLICT") return;
    ledger.violate(`${operationId} took another body: ${JSON.stringify(answer)}`);
  }

  async #twice(send: () => Promise<void>): Promise<void> {
    const { chance } = this.#options;
    const isAtOnce = chance.percent(30);
    await Promise.all(isAtOnce ? [send(), send()] : [send()]);
    if (chance.percent(30)) await send();
  }

  #refused(story: Story, operationId: string, answer: Answer): void {
    this.#options.ledger.lost(
      "operation",
      `${operationId} of ${story.id}: ${JSON.stringify(answer)}`,
    );
  }
}

function idOf({ key }: Story, name: string): string {
  return `${key}-${name}`;
}
