/**
 * A worker without manners, which speaks the plain JSON of the worker service: it settles twice with
 * different results, through two servers at once, late, with old and with forged tokens. However it
 * behaves, of what it says about a task at most one thing may count.
 */
import type { Chance } from "../support/chance.ts";
import { type Client, resultStatuses } from "./client.ts";
import type { Ledger } from "./ledger.ts";

interface RudeTask {
  readonly token: string;
  readonly executionId: string;
}

const service = "/orchy.v1.WorkerService";
const workerId = "rude";
/** Longer than its lease of a second. */
const lateMs = 2_500;
const oldTokensMax = 200;

export class RudeWorker {
  readonly #client: Client;
  readonly #ledger: Ledger;
  readonly #chance: Chance;
  readonly #old: RudeTask[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #runs = 0;

  constructor(options: { client: Client; ledger: Ledger; chance: Chance }) {
    this.#client = options.client;
    this.#ledger = options.ledger;
    this.#chance = options.chance;
  }

  async register(): Promise<void> {
    const rules = { heartbeatSeconds: 1, timeoutSeconds: 10, retryCount: 200 };
    const more = { retryPolicy: "FIXED", retryAfterSeconds: 0.3 };
    await this.#client.surely({
      method: "PUT",
      path: "/v1/actions/chaos-rude",
      body: { name: "chaos-rude", ...rules, ...more },
    });
  }

  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const body = { actions: ["chaos-rude"], maxTasks: 5, waitSeconds: 1, workerId };
      const poll = { method: "POST", path: `${service}/Poll`, timeoutMs: 4_000 };
      const answer = await this.#client.attempt({ ...poll, body: { ...body, heartbeats: true } });
      if (answer?.status !== 200) {
        await Bun.sleep(100);
        continue;
      }
      for (const task of (answer.body.tasks ?? []) as RudeTask[]) {
        const work = this.#misbehave(task).finally(() => this.#underWay.delete(work));
        this.#underWay.add(work);
      }
      if (this.#chance.percent(20)) await this.#bringUpTheOld();
    }
    await Promise.all(this.#underWay);
  }

  async #misbehave(task: RudeTask): Promise<void> {
    this.#old.push(task);
    if (this.#old.length > oldTokensMax) this.#old.shift();
    switch (this.#chance.below(4)) {
      case 0:
        await this.#settle(task);
        await this.#settle(task);
        return;
      case 1:
        await Promise.all([this.#settle(task), this.#settle(task)]);
        return;
      case 2:
        await Bun.sleep(lateMs);
        await this.#settle(task);
        return;
      default:
        await this.#forge(task);
        await this.#settle(task);
    }
  }

  async #bringUpTheOld(): Promise<void> {
    if (this.#old.length > 0) await this.#settle(this.#chance.pick(this.#old));
  }

  /** Each result is another one, so that the one that counted can be told. */
  async #settle({ token, executionId }: RudeTask): Promise<void> {
    const run = `rude/${++this.#runs}`;
    const story = this.#ledger.rudeStory(executionId);
    story.sent.add(run);
    const status = await this.#complete(token, { run });
    if (status !== "ACCEPTED") return;
    story.accepted.add(run);
    if (story.accepted.size > 1) {
      const runs = [...story.accepted].join(" and ");
      this.#ledger.lost("result", `${executionId}: ${runs} were both accepted, last for ${token}`);
    }
  }

  async #forge({ token }: RudeTask): Promise<void> {
    const [leasedAt = "", nonce = "", ...rest] = token.split(".");
    const forged = [leasedAt, [...nonce].reverse().join(""), ...rest].join(".");
    if (forged === token) return;
    const status = await this.#complete(forged, { run: "forged" });
    if (status === "ACCEPTED") this.#ledger.violate(`a forged token was accepted: ${forged}`);
  }

  async #complete(token: string, output: unknown): Promise<string | undefined> {
    for (let tries = 0; tries < 20; tries++) {
      const body = { results: [{ token, output }], workerId };
      const answer = await this.#client.surely({
        method: "POST",
        path: `${service}/Complete`,
        body,
      });
      if (answer === undefined) return undefined;
      const status = answer.status === 200 ? resultStatuses(answer)[0] : `HTTP ${answer.status}`;
      if (status === undefined) return undefined;
      const counts = this.#ledger.rudeAnswers;
      counts.set(status, (counts.get(status) ?? 0) + 1);
      if (status !== "RETRY") return status;
      await Bun.sleep(200);
    }
    return undefined;
  }
}
