/** Creates executions: their first decision, and its commit. */
import { goOn, type Now } from "../../base/clock.ts";
import { OrchyError } from "../../base/errors.ts";
import { begin } from "../../engine/decide.ts";
import { advance, encodeState } from "../../engine/stored/codec.ts";
import type { Execution } from "../../model/execution.ts";
import type { JsonText } from "../../model/json.ts";
import { type CreateAnswer, type Store, StoreFault } from "../../store/store.ts";
import type { ActionRegistry } from "../catalogue/action-registry.ts";
import { listingOf } from "../shared/listing-of.ts";
import type { Committer, CommitterOptions } from "./committer.ts";
import type { Decided, Decider } from "./decider.ts";
import {
  abandonScripts,
  answerMail,
  type Created,
  type Creation,
  type Mailbox,
} from "./mailbox.ts";
import { offerTasks } from "./offers.ts";
import type { ScriptRunner } from "./scripts.ts";

interface CreatorOptions extends CommitterOptions {
  readonly registry: ActionRegistry;
  readonly decider: Decider;
  readonly committer: Committer;
  /** The scripts of a mailbox, made on first use. */
  readonly scriptsOf: (box: Mailbox) => ScriptRunner;
}

export class Creator {
  readonly #options: CreatorOptions;

  constructor(options: CreatorOptions) {
    this.#options = options;
  }

  /** Its first scripts are folded in as for any other commit. */
  async create(box: Mailbox, { beginning, requestHash }: Creation): Promise<Created> {
    const { store, clock, ids, registry, dispatcher, formats } = this.#options;
    const { plan } = beginning;
    await registry.ensure(plan);
    const time = goOn(clock);
    const surroundings = this.#options.decider.surroundings(box, plan, time);
    const tryWith = (lookups: typeof noLookups) => {
      const startedAt = performance.now();
      const tried = begin({ ...beginning, ...surroundings, lookups });
      this.#options.mainThread.ran("execution", box.key.id, startedAt);
      return tried;
    };
    let first = tryWith(noLookups);
    for (let lookups = noLookups; "need" in first; ) {
      lookups = new Map([...lookups, ...(await this.#options.decider.lookUp(first.need))]);
      first = tryWith(lookups);
    }
    const nothing: Execution = { state: first.state, records: [], data: new Map() };
    const start: Decided = { before: nothing, decision: first, mail: [], plan, clock: time };
    // A repeated start must not run its scripts beside those of the execution that it finds.
    const isKnown = Boolean(box.scripts?.open) || this.#options.cache.get(box.key.id) !== undefined;
    const decided = isKnown ? start : await this.#options.decider.foldScripts(box, start);
    const { decision } = decided;
    // Later than the beginning, by as long as its scripts took.
    const now = time.now();
    const offers = offerTasks(dispatcher, { key: box.key, decision, origin: undefined, now });
    const request = {
      key: box.key,
      commitId: ids.nonce(),
      requestHash,
      listing: listingOf(decision),
      state: encodeState(decision, formats.written()),
      data: written(decision.data),
      effects: offers.effects,
      now,
    };
    let answer: CreateAnswer;
    try {
      answer = await createSurely(store, request, time);
    } catch (error) {
      offers.withdraw();
      if (error instanceof OrchyError) {
        offers.giveBack();
        this.#options.onUnknown(box.key, decision);
      }
      throw error;
    }
    if (answer.outcome !== "created") {
      offers.withdraw();
      // What was folded in is meant for the execution that is there.
      const mail = abandonScripts(box, decided.mail);
      box.mail.unshift(...mail);
      return answer;
    }
    if (isKnown) this.#options.scriptsOf(box).run(decision.scripts);
    box.scripts?.age();
    const after = advance(nothing, decision);
    this.#options.committer.keep(box, answer.head, after);
    offers.deliver();
    this.#options.onCommitted({ key: box.key, before: undefined, after, decision, plan });
    box.more = decision.more;
    for (const [index, mail] of decided.mail.entries()) answerMail(mail, decision.answers[index]!);
    return { ...answer, status: decision.state.status };
  }
}

const noLookups: ReadonlyMap<string, JsonText> = new Map();

/** Throws an OrchyError when the store did not say what became of it. */
async function createSurely(
  store: Store,
  request: Parameters<Store["create"]>[0],
  clock: Now,
): Promise<CreateAnswer> {
  let unknown = false;
  for (let tries = 0; ; tries++) {
    try {
      return await store.create(tries === 0 ? request : { ...request, now: clock.now() });
    } catch (error) {
      if (!(error instanceof StoreFault)) throw error;
      // That a repeat was not applied says nothing about the call before it.
      unknown ||= error.outcome === "unknown";
      if (!unknown) throw error;
      // The same commit id repeated returns what the first call did.
      if (tries >= 2) {
        const message =
          "The store did not confirm whether the execution was started; repeat the call.";
        throw new OrchyError("UNKNOWN_OUTCOME", message, [], { id: request.key.id });
      }
    }
  }
}

function written(data: ReadonlyMap<string, JsonText | null>): Map<string, JsonText> {
  const result = new Map<string, JsonText>();
  for (const [field, text] of data) if (text !== null) result.set(field, text);
  return result;
}
