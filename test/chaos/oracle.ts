/**
 * The end of a run, when every fault has healed: everything comes to its end within a bound, and
 * what is there then is held against what was acknowledged.
 */
import { limits } from "../../src/base/limits.ts";
import type { Answer, Client } from "./client.ts";
import { judgeFamily, judgeFork } from "./families.ts";
import { judge } from "./judge.ts";
import type { Shown } from "./kind.ts";
import type { Ledger, Story } from "./ledger.ts";
import { type Source, sourceWorkflow } from "./source.ts";

interface Listed {
  readonly id: string;
  readonly workflow: string;
  readonly status: string;
  readonly correlationId?: string;
}

export interface HistoryEntry {
  readonly sequence: number;
  readonly kind: string;
  readonly action?: string;
  readonly details?: { readonly reason?: string };
}

const openStatuses = ["RUNNING", "PAUSED"];
const endStatuses = ["COMPLETED", "FAILED", "TIMED_OUT", "CANCELLED"];
/**
 * What waits longest is a wait without its signal, for a minute; leases and retries come on top.
 */
const boundMs = 120_000;
/** Takeover where looks are billed, on a machine that has much else to do. */
const removalMs = 40_000;
const lanes = 16;
const shownMax = 10;

export class Oracle {
  readonly #client: Client;
  readonly #ledger: Ledger;
  readonly #source: Source | undefined;
  checked = 0;
  /** Listed, by status, at the end. */
  readonly counts = new Map<string, number>();

  /** `source`: whose messages are counted, too. */
  constructor(client: Client, ledger: Ledger, source: Source | undefined) {
    this.#client = client;
    this.#ledger = ledger;
    this.#source = source;
  }

  async check(): Promise<void> {
    await this.#source?.drain(() => this.#ofSource());
    await this.#allEnd();
    await this.#allFollowed();
    await this.#allEnd();
    await this.#checkStories();
    await this.#checkLists();
    for (const sentence of this.#source?.judge(await this.#ofSource()) ?? []) {
      this.#ledger.lost("message", sentence);
    }
  }

  #ofSource(): Promise<readonly Listed[]> {
    return this.#list(`&workflow=${sourceWorkflow}`);
  }

  async #get(path: string): Promise<Answer> {
    const answer = await this.#client.surely({ method: "GET", path, timeoutMs: 15_000 });
    if (answer === undefined) throw new Error(`${path} is not answered`);
    return answer;
  }

  async #list(query: string): Promise<Listed[]> {
    const listed: Listed[] = [];
    for (let cursor: string | undefined = ""; cursor !== undefined; ) {
      const page: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const { body } = await this.#get(`/v1/executions?limit=500${query}${page}`);
      listed.push(...(body.items as Listed[]));
      cursor = body.cursor as string | undefined;
    }
    return listed;
  }

  async #open(): Promise<Listed[]> {
    const lists = openStatuses.map((status) => this.#list(`&status=${status}`));
    return (await Promise.all(lists)).flat();
  }

  /**
   * A message that a server had claimed when it died is delivered by another one, after a while.
   */
  async #allFollowed(): Promise<void> {
    const giveUpAt = performance.now() + 3 * limits.outboxHideMs;
    const followed = this.#ledger.stories.filter(({ kind, id }) => kind.hasFollowUp && id);
    while (performance.now() < giveUpAt) {
      const all = await this.#list("&workflow=chaos-after");
      const keys = new Set(all.map(({ correlationId }) => correlationId));
      if (followed.every(({ key }) => keys.has(key))) return;
      await Bun.sleep(500);
    }
  }

  async #allEnd(): Promise<void> {
    const giveUpAt = performance.now() + boundMs;
    let open = await this.#open();
    while (open.length > 0 && performance.now() < giveUpAt) {
      for (const { id, status } of open) if (status === "PAUSED") await this.#resumeLost(id);
      await Bun.sleep(500);
      open = await this.#open();
    }
    if (open.length === 0) return;
    this.#ledger.violate(`${open.length} executions are stuck`);
    for (const { id, workflow, status } of open.slice(0, shownMax)) {
      this.#ledger.violate(`${id} (${workflow}) is ${status}: ${await this.#explain(id)}`);
    }
  }

  /** A resume that was acknowledged and lost with a master leaves its execution paused. */
  async #resumeLost(id: string): Promise<void> {
    const story = this.#ledger.byId.get(id);
    if (story?.done.has("resume") !== true) return;
    this.#ledger.lost("resume", `${id} is paused, and was resumed`);
    if (!this.#ledger.forgives) return;
    await this.#client.surely({ method: "POST", path: `/v1/executions/${id}/resume`, body: {} });
  }

  async #explain(id: string): Promise<string> {
    const shown = await this.#get(`/v1/executions/${id}`);
    const history = await this.#history(id);
    const entries = history.map(
      ({ sequence, kind, action }) => `${sequence} ${kind} ${action ?? ""}`,
    );
    const actions = JSON.stringify(shown.body.actions);
    return `actions ${actions}\n  history: ${entries.join("; ")}`;
  }

  async #history(id: string): Promise<HistoryEntry[]> {
    const { status, body } = await this.#get(`/v1/executions/${id}/history?limit=500`);
    return status === 200 ? (body.items as HistoryEntry[]) : [];
  }

  async #checkStories(): Promise<void> {
    const stories = [...this.#ledger.stories];
    const lane = async () => {
      for (let story = stories.pop(); story !== undefined; story = stories.pop()) {
        await this.#checkStory(story);
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
  }

  /** Where looks are billed, the removal may be left to another server, which looks later. */
  async #untilGone(id: string) {
    const giveUpAt = performance.now() + removalMs;
    for (;;) {
      const answer = await this.#get(`/v1/executions/${id}`);
      if (answer.status !== 200 || performance.now() > giveUpAt) return answer;
      await Bun.sleep(500);
    }
  }

  async #checkStory(story: Story): Promise<void> {
    const { id, kind } = story;
    // A start without an answer has been reported already.
    if (id === undefined) return;
    this.checked += 1;
    const mustBeGone = kind.afterwards !== "delete" || story.done.has("delete");
    // An acknowledged delete is seen at once.
    const isLate = kind.vanishes && kind.afterwards !== "delete";
    const { status, body } = isLate
      ? await this.#untilGone(id)
      : await this.#get(`/v1/executions/${id}`);
    if (status === 404) return this.#ledger.lost("start", `${id} (${kind.name}) is lost`);
    const isGone = status === 410;
    if (kind.vanishes) {
      if (!isGone && mustBeGone) this.#ledger.lost("delete", `${id} (${kind.name}) is still there`);
      return;
    }
    if (isGone) return this.#ledger.violate(`${id} (${kind.name}) was never deleted, and is gone`);
    const history = await this.#history(id);
    const ofChild = story.childId === undefined ? [] : await this.#history(story.childId);
    const rude = this.#ledger.rude.get(id);
    const { problems, losses } = judge(story, body, history, rude, ofChild);
    for (const sentence of await this.#relatives(story, body)) {
      this.#ledger.lost("relative", `${id} (${kind.name}): ${sentence}`);
    }
    for (const [what, sentence] of losses) this.#ledger.lost(what, `${id}: ${sentence}`);
    for (const problem of problems) {
      this.#ledger.violate(`${id} (${kind.name}): ${problem}\n  ${await this.#explain(id)}`);
    }
  }

  /** Its children, which are in no other list where their definitions are inline, and its fork. */
  async #relatives(story: Story, shown: Shown): Promise<readonly string[]> {
    const { kind, id, forkId } = story;
    if (forkId !== undefined) {
      const { status, body } = await this.#get(`/v1/executions/${forkId}`);
      return status === 200 ? judgeFork(shown, body) : [`its fork ${forkId} is lost`];
    }
    if (kind.children === undefined) return [];
    const children: Shown[] = [];
    for (const child of await this.#list(`&parent=${id}`)) {
      children.push((await this.#get(`/v1/executions/${child.id}`)).body);
    }
    return judgeFamily(story, shown, children);
  }

  async #checkLists(): Promise<void> {
    const all = await this.#list("");
    for (const status of [...openStatuses, ...endStatuses]) {
      const { length } = await this.#list(`&status=${status}`);
      if (length > 0) this.counts.set(status, length);
    }
    const sum = [...this.counts.values()].reduce((a, b) => a + b, 0);
    if (sum !== all.length) {
      this.#ledger.violate(`the statuses add up to ${sum}, and ${all.length} are listed`);
    }
    this.#checkStarts(all);
  }

  /** Each start is listed once, and each follow-up. */
  #checkStarts(all: readonly Listed[]): void {
    const ledger = this.#ledger;
    const times = new Map<string, number>();
    for (const { workflow, correlationId = "" } of all) {
      const name = `${workflow} ${correlationId}`;
      times.set(name, (times.get(name) ?? 0) + 1);
    }
    for (const { kind, key, id, forkId } of ledger.stories) {
      const count = times.get(`chaos-${kind.name} ${key}`) ?? 0;
      if (count > (forkId === undefined ? 1 : 2))
        ledger.violate(`the start ${key} is listed ${count} times`);
      if (count === 0 && id !== undefined && !kind.vanishes) {
        ledger.lost("start", `${id} (${kind.name}) is not listed`);
      }
      if (!kind.hasFollowUp) continue;
      const followUps = times.get(`chaos-after ${key}`) ?? 0;
      if (followUps > 1) ledger.violate(`${id} was followed ${followUps} times`);
      if (followUps === 0 && id !== undefined) ledger.lost("follow-up", `nothing followed ${id}`);
    }
  }
}
