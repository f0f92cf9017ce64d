/**
 * The imperative shell around the engine: puts its parts together and is the one `Orchestrator`
 * that every edge calls. It keeps nothing that cannot be lost: all state is in the store.
 */
import { pause, within } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { Decision } from "../model/decision.ts";
import { isOpen } from "../model/execution.ts";
import { type ExecutionKey, parseQueueKey } from "../model/ids.ts";
import { ActionRegistry } from "./catalogue/action-registry.ts";
import { Plans } from "./catalogue/plans.ts";
import { Workflows } from "./catalogue/workflows.ts";
import { Beats } from "./dispatch/beats.ts";
import { Cancellations } from "./dispatch/cancellations.ts";
import { Dispatcher } from "./dispatch/dispatcher.ts";
import { Uncarried } from "./dispatch/uncarried.ts";
import { Unpolled } from "./dispatch/unpolled.ts";
import type { Committed } from "./driving/committed.ts";
import { Driver } from "./driving/driver.ts";
import { ScriptTurns } from "./driving/script-turns.ts";
import { httpAction } from "./inner/http-action.ts";
import { InnerWorker } from "./inner/inner-worker.ts";
import { handleDue } from "./loops/due.ts";
import { EarlyRetention } from "./loops/early-retention.ts";
import { Indexing } from "./loops/indexing.ts";
import { OutboxLoop } from "./loops/outbox-loop.ts";
import { ParkedTickets } from "./loops/parked-tickets.ts";
import { Sweeper } from "./loops/sweeper.ts";
import { TimerLoop } from "./loops/timer-loop.ts";
import type { Runtime, RuntimeOptions } from "./options.ts";
import { Formats } from "./peers/formats.ts";
import { Notes } from "./peers/notes.ts";
import { withPeers } from "./peers/peer-store.ts";
import { RemoteChanges } from "./peers/remote-changes.ts";
import { ServerRegistry } from "./peers/server-registry.ts";
import { Sharing } from "./peers/sharing.ts";
import { Standstill } from "./peers/standstill.ts";
import { Journal } from "./reporting/journal.ts";
import { Actions } from "./services/actions.ts";
import { CorrelatedSignals } from "./services/correlated-signals.ts";
import { DataValues } from "./services/data-values.ts";
import { Deliveries } from "./services/deliveries.ts";
import { Executions } from "./services/executions.ts";
import { Explainer } from "./services/explainer.ts";
import { facadeOf } from "./services/facade.ts";
import { Forks } from "./services/forks.ts";
import { Lists } from "./services/listing.ts";
import { Observers } from "./services/observers.ts";
import { Operations } from "./services/operations.ts";
import { Pollers } from "./services/pollers.ts";
import { readReadiness } from "./services/readiness.ts";
import { Relay } from "./services/relay.ts";
import { Tickets } from "./services/tickets.ts";
import { Views } from "./services/views.ts";
import { Watchers } from "./services/watchers.ts";
import { WorkerDesk } from "./services/worker-desk.ts";
import { paceOf } from "./shared/pace.ts";
import { StoreSpace } from "./shared/store-space.ts";
import { openSources } from "./sources/open.ts";

export type { Runtime } from "./options.ts";

// biome-ignore lint/complexity/noExcessiveLinesPerFunction: it only wires, one statement for each part.
export function createRuntime(options: RuntimeOptions): Runtime {
  const { sandbox, clock, ids, log, metrics, tracing, namespace, brokers } = options;
  const { store, peers } = withPeers(options);
  const { formatDelayMs = limits.formatDelayMsDefault, onOutdated = () => {} } = options;
  const formats = new Formats({ store, clock, log, formatDelayMs, onOutdated });
  const plans = new Plans(store, formats);
  const registry = new ActionRegistry(store, clock);
  const watchers = new Watchers();
  const beats = new Beats();
  const isUnpolled = (queue: string) => unpolled.has(queue) || uncarried.has(queue);
  const views = new Views({ store, plans, beats, isUnpolled });
  const lists = new Lists({ store, clock });
  const sharing = new Sharing(store.partitions, (partition) => {
    outbox.note(partition);
    dispatcher.refresh(partition).catch(() => {});
  });
  const onLost = () => plans.forget();
  const onLive = (self: string, live: readonly string[]) => sharing.update(self, live);
  const notes = new Notes({ store, ids, hasPeers: () => sharing.hasPeers });
  const remote = new RemoteChanges({ store, clock, notes, formats });
  const observers = new Observers({ store, clock, views, watchers, remote });
  const standstill = new Standstill({ clock, log });
  const servers = new ServerRegistry({
    store,
    clock,
    log,
    formats,
    standstill,
    onLive,
    onLost,
    news: () => uncarried.beat(),
    onBeats(self, beats) {
      uncarried.heard(self, beats);
      peers?.know(self, beats);
    },
  });
  const pace = paceOf(store.traits);
  // What this server puts into the store it knows of; on a shared one others put things there too.
  const prefers = (partition: number) => sharing.prefers(partition);
  const restMs = (partition: number) =>
    prefers(partition) ? pace.preferredLookMs : limits.sleepMsMax;

  const dispatcher = new Dispatcher({
    store,
    clock,
    ids,
    log,
    onDue: (partition, at) => timers.note(partition, at),
    broker: options.taskQueue,
    countTickets: (event, count) => metrics.queueTickets(event, count),
  });
  const turns = new ScriptTurns({
    store,
    sandbox,
    clock,
    log,
    take: (id, handout) => driver.submit(id, { type: "script-turn", handout }),
  });
  const driver: Driver = new Driver({
    store,
    clock,
    ids,
    log,
    formats,
    plans,
    registry,
    dispatcher,
    sandbox,
    turns,
    onCommitted,
    onUnknown: (key, decision) => lookFor(key, decision),
    mainThread: metrics.mainThread,
    timeCommit: () => metrics.timeStoreCall("commit"),
  });
  const space = new StoreSpace({ store, clock, log, keepRetention: options.keepRetention });
  const journal = new Journal(log, metrics);
  const executions = new Executions({
    store,
    clock,
    ids,
    driver,
    plans,
    space,
    formats,
    namespace,
    tombstoneSeconds: options.tombstoneSeconds ?? limits.tombstoneSecondsDefault,
  });
  const timers = new TimerLoop({
    store,
    clock,
    ids,
    log,
    standstill,
    restMs,
    handle: (item, claimId) => handleDue(dueOptions, item, claimId),
  });
  const note = (partition: number, at: number) => timers.note(partition, at);
  const dueOptions = { clock, standstill, metrics, journal, driver, executions, note };
  // Apart from what people list: neither waits for the other.
  const correlated = new CorrelatedSignals({ driver, plans, lists: new Lists({ store, clock }) });
  const relay = new Relay({ store, clock, log, metrics, ids, brokers });
  const deliveries = new Deliveries({
    relay,
    store,
    plans,
    driver,
    executions,
    correlated,
    namespace,
    tracing,
  });
  const outbox = new OutboxLoop({
    store,
    clock,
    ids,
    log,
    restMs,
    deliver: (message) => deliveries.deliver(message),
    giveUp: (message, reason) => deliveries.giveUp(message, reason),
  });
  const workflows = new Workflows({ clock, log, sandbox, plans, registry, formats });
  const sweeper = new Sweeper({ store, clock, log, plans, driver, dispatcher });
  const early = new EarlyRetention({ store, clock, log, metrics, space, executions, prefers });
  const parked = new ParkedTickets({ store, clock, log, relay, prefers, restMs: pace.sweepMs });
  const indexing = new Indexing({ store, clock, log, formats, prefers });
  const cancellations = new Cancellations({ clock, dispatcher, notes });
  const uncarried: Uncarried = new Uncarried({
    store,
    clock,
    log,
    dispatcher,
    standstill,
    takerSeenAt: (queue) => desk.takerSeenAt(queue),
    settle: (results) => desk.complete(results, ""),
  });
  const isRefused = (queue: string) => uncarried.isRefused(queue);
  const isDelivered = (queue: string) => registry.isDelivered(parseQueueKey(queue).action);
  const workersOf = async (queues: readonly string[]) => (await pollers.of(queues)).counts;
  const looked = { store, clock, log, dispatcher, notes, prefers, isRefused, isDelivered };
  const unpolled = new Unpolled({ ...looked, workersOf });
  const deskOptions = { store, clock, log, dispatcher, driver, plans, metrics, beats, tracing };
  const desk = new WorkerDesk({ ...deskOptions, unpolled, uncarried, cancellations, standstill });
  const tickets = new Tickets({ store, clock, ids, driver, desk, dispatcher, relay, metrics });
  const here = (queues: readonly string[]) => desk.countWorkers(queues);
  const pollers: Pollers = new Pollers({ clock, ids, notes, peers: () => sharing.peers, here });
  const explainer = new Explainer({ store, plans, pollers, registry });
  const operations = new Operations({ store, clock, driver, executions, correlated });
  const about = { store, clock, log, metrics, namespace, brokers, prefers };
  const sources = openSources({ ...about, executions, operations });
  let inner: InnerWorker | undefined;
  let innerStopped: Promise<void> | undefined;
  let sourcesStopped: Promise<void> | undefined;
  metrics.read({
    parkedPolls: () => dispatcher.parked,
    mailboxes: () => driver.mailboxes,
    waitingScripts: () => sandbox.queued + turns.size,
    repairs: () => sweeper.found,
  });

  /** What a decision has set in motion is looked at when it is due. */
  function lookFor(key: ExecutionKey, decision: Decision): void {
    for (const timer of decision.effects.timers) timers.note(key.partition, timer.at);
    for (const task of decision.effects.tasks) {
      if (task.queueTimeoutMs > 0) timers.note(key.partition, clock.now() + task.queueTimeoutMs);
    }
    if (decision.effects.messages.length > 0) outbox.note(key.partition);
    if (decision.hold === false) dispatcher.letGo([key]).catch(() => {});
  }

  function onCommitted(committed: Committed): void {
    const { key, decision } = committed;
    lookFor(key, decision);
    turns.add(committed.plan.workflow, key.id, decision.waitingScripts);
    watchers.notify(committed);
    remote.committed(key, !isOpen(committed.after.state.status));
    tracing?.committed(committed);
    journal.committed(committed);
    cancellations.committed(key, decision);
  }

  function drain(): void {
    dispatcher.drain();
    innerStopped ??= inner?.stop(limits.drainMs);
    sourcesStopped ??= sources.reader?.stop();
    void turns.stop();
  }

  return {
    ...facadeOf({
      store,
      clock,
      workflows,
      plans,
      executions,
      operations,
      forks: new Forks({ store, ids, driver, plans, space, formats, namespace }),
      actions: new Actions({ store, registry, pollers }),
      views,
      values: new DataValues({ store, plans }),
      explainer,
      lists,
      observers,
      desk,
      tickets,
      servers,
      sources: sources.service,
      readiness: () => readReadiness({ store, space, formats, dispatcher, relay }),
    }),
    async open(self) {
      // What other servers put there; before the first look, so that nothing falls between.
      await store.onWake?.(
        (partition, queue) => dispatcher.woken(partition, queue),
        (_, text) => notes.heard(text),
      );
      await Promise.all(Array.from({ length: store.partitions }, (_, i) => sweeper.refresh(i)));
      for (const loop of [standstill, timers, outbox, sweeper, turns]) loop.start();
      await servers.join(self);
      if (options.keepRetention !== true) early.start();
      indexing.start();
      unpolled.start();
      uncarried.start();
      sources.reader?.start(self);
      parked.start();
      if (options.http !== undefined) {
        const actions = new Map([["http", httpAction(options.http)]]);
        inner = new InnerWorker({ desk, clock, log, workerId: `orchy:${self.name}`, actions });
        inner.start();
      }
    },
    ...(peers && { peers }),
    drain,
    async close() {
      drain();
      await innerStopped;
      if (sourcesStopped !== undefined) await within(limits.drainMs, sourcesStopped, clock);
      await servers.leave();
      // Until the others know of it, what is due falls to this server.
      if (store.traits.shared) await pause(2 * pace.beatMs, clock);
      const loops = [timers, outbox, sweeper, turns, early, indexing, unpolled, uncarried, parked];
      const done = Promise.all(loops.map((loop) => loop.stop())).then(() => driver.drained());
      await within(limits.drainMs, done, clock);
      standstill.stop();
      driver.close();
      remote.close();
    },
  };
}
