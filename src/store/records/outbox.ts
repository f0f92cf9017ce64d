/** The outbox: one hint stands for all messages of an execution, which are given in their order. */
import { defined } from "../../base/defined.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import { RecentClaims } from "../kit/claims.ts";
import { earliest, withNextDue } from "../kit/due.ts";
import type {
  AckOutboxRequest,
  ClaimDueRequest,
  ClaimOutboxAnswer,
  OutboxMessage,
} from "../store.ts";
import type { Edit } from "./edit.ts";
import { standInOutbox } from "./effects.ts";
import { Followers, followedOf } from "./followers.ts";
import { keyOf, outboxShelf, type PostedHint } from "./hints.ts";
import type { Group, MessageRecord } from "./model.ts";
import type { Records } from "./records.ts";
import { PartMissing } from "./texts.ts";

interface Given {
  readonly key: ExecutionKey;
  readonly message: MessageRecord;
}

interface Followed {
  readonly given: readonly Given[];
  readonly nextDue: number | undefined;
}

export class Outbox {
  readonly #records: Records;
  readonly #followers: Followers;
  readonly #claims = new RecentClaims<ExecutionKey>();

  constructor(records: Records) {
    this.#records = records;
    this.#followers = new Followers(records);
  }

  async claim(request: ClaimDueRequest): Promise<ClaimOutboxAnswer> {
    const { partition, claimId } = request;
    const shelf = outboxShelf(partition);
    const looked = await this.#followers.look(shelf, request);
    const again = await this.#again(request);
    if (again.given.length > 0) {
      const others = looked.hints.find(({ id }) => !again.ids.has(id))?.place.at;
      const next = earliest([others, again.nextDue]);
      return withNextDue({ messages: await this.#messages(again.given) }, next);
    }
    const { followed, later } = await this.#followers.followDue(shelf, looked, request, {
      follow: (due) => this.#follow(due, request),
      isBarren: ({ given, nextDue }) => given.length === 0 && nextDue === undefined,
    });
    const given = followed.flatMap((one) => one.given);
    this.#claims.remember(
      partition,
      claimId,
      given.map(({ key }) => key),
    );
    const next = earliest([later, ...followed.map(({ nextDue }) => nextDue)]);
    return withNextDue({ messages: await this.#messages(given) }, next);
  }

  async #follow(
    hints: readonly PostedHint[],
    request: ClaimDueRequest,
  ): Promise<readonly Followed[]> {
    const { partition, limit, now } = request;
    const byExecution = [...Map.groupBy(hints, ({ id }) => id).values()];
    const keys = byExecution.map((some) => keyOf(partition, some[0] as PostedHint));
    const groups = keys.length === 0 ? [] : await this.#records.readHeads(keys);
    let left = limit;
    const following = byExecution.map((some, i) => {
      const group = groups[i] as Group;
      const visible = visibleIn(group.execution?.messages ?? [], now).length;
      const room = Math.min(left, visible);
      left -= room;
      return this.#followOne({ key: keys[i] as ExecutionKey, hints: some, group, room }, request);
    });
    return await followedOf(following, (nextDue) => ({ given: [], nextDue }), now);
  }

  async #followOne(
    of: {
      readonly key: ExecutionKey;
      readonly hints: readonly PostedHint[];
      readonly group: Group;
      readonly room: number;
    },
    request: ClaimDueRequest,
  ): Promise<Followed> {
    const { key, hints, group, room } = of;
    const { now } = request;
    const options = { key, now, group, isFresh: true } as const;
    const { result, outdated } = await this.#records.update(options, (edit) => {
      const named = edit.execution?.outbox?.id;
      const version = edit.versionOf();
      const unnamed = hints.filter(({ place }) => place.id !== named);
      return { result: claimMessages(edit, room, request), outdated: { unnamed, version } };
    });
    const { unnamed, version } = outdated;
    const shelf = outboxShelf(key.partition);
    await Promise.all(
      unnamed.map((hint) => this.#followers.leadsToNothing({ shelf, hint }, { version, now })),
    );
    return result;
  }

  async #again({ partition, claimId }: ClaimDueRequest) {
    const keys = new Map(this.#claims.recall(partition, claimId).map((key) => [key.id, key]));
    const given: Given[] = [];
    const next: (number | undefined)[] = [];
    for (const key of keys.values()) {
      const { execution } = await this.#records.read(key, { sure: true });
      if (execution === undefined) continue;
      const [mine, others] = [true, false].map((isMine) =>
        execution.messages.filter((message) => (message.claimId === claimId) === isMine),
      ) as [MessageRecord[], MessageRecord[]];
      given.push(...mine.map((message) => ({ key, message })));
      next.push(others[0]?.visibleAt);
    }
    return { given, ids: new Set(keys.keys()), nextDue: earliest(next) };
  }

  /** Without those that have been acknowledged meanwhile. */
  async #messages(given: readonly Given[]): Promise<readonly OutboxMessage[]> {
    const messages = await Promise.all(
      given.map(async ({ key, message: { id, body, deliveries } }) => {
        const [text] = await this.#records.texts.read(key, [body]).catch((error) => {
          if (error instanceof PartMissing) return [];
          throw error;
        });
        return text === undefined ? [] : { key, id, body: text, deliveries };
      }),
    );
    return messages.flat();
  }

  async acknowledge({ partition, messages }: AckOutboxRequest, now: number): Promise<void> {
    const byExecution = Map.groupBy(messages, ({ key }) => key.id);
    await Promise.all(
      [...byExecution].map(async ([id, some]) => {
        const key = { partition, id };
        const gone = new Set(some.map((message) => message.id));
        const group = this.#records.cached(key);
        await this.#records.update({ key, now, ...defined({ group }) }, (edit) => {
          const kept = edit.execution?.messages.filter((message) => !gone.has(message.id)) ?? [];
          if (kept.length === (edit.execution?.messages.length ?? 0)) return;
          for (const { id: one, body } of edit.record.messages) if (gone.has(one)) edit.drop(body);
          edit.change({ messages: kept });
          standInOutbox(edit, { isFollowed: false });
        });
      }),
    );
  }
}

/** Those up to the first hidden one, which holds back what was sent after it. */
function visibleIn(messages: readonly MessageRecord[], now: number): readonly MessageRecord[] {
  const hidden = messages.findIndex(({ visibleAt }) => visibleAt > now);
  return hidden < 0 ? messages : messages.slice(0, hidden);
}

function claimMessages(
  edit: Edit,
  room: number,
  { claimId, hideMs, now }: ClaimDueRequest,
): Followed {
  const { execution, key } = edit;
  if (execution === undefined || execution.grave !== undefined) {
    return { given: [], nextDue: undefined };
  }
  const taken = visibleIn(execution.messages, now).slice(0, room);
  const claimed = taken.map((message) => ({
    ...message,
    deliveries: message.deliveries + 1,
    visibleAt: now + hideMs,
    claimId,
  }));
  const rest = execution.messages.slice(claimed.length);
  if (claimed.length > 0) edit.change({ messages: [...claimed, ...rest] });
  standInOutbox(edit, { isFollowed: true });
  const isLeft = claimed.length < visibleIn(execution.messages, now).length;
  const [next] = rest;
  const waits = claimed.length === 0 ? next?.visibleAt : isLeft ? now : undefined;
  return { given: claimed.map((message) => ({ key, message })), nextDue: waits };
}
