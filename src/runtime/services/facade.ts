/**
 * What every edge calls: all services behind one interface. Faults of the store become errors that
 * say what the caller may do about them.
 */
import type { Clock } from "../../base/clock.ts";
import type { Store } from "../../store/store.ts";
import type { Plans } from "../catalogue/plans.ts";
import type { Workflows } from "../catalogue/workflows.ts";
import type { ServerRegistry } from "../peers/server-registry.ts";
import { tellFaults } from "../shared/faults.ts";
import type { Orchestrator } from "../shared/orchestrator.ts";
import type { Actions } from "./actions.ts";
import type { DataValues } from "./data-values.ts";
import type { Executions } from "./executions.ts";
import type { Explainer } from "./explainer.ts";
import type { Forks } from "./forks.ts";
import { itemsPage } from "./items.ts";
import type { Lists } from "./listing.ts";
import type { Observers } from "./observers.ts";
import type { Operations } from "./operations.ts";
import { actionNames } from "./task-actions.ts";
import type { Tickets } from "./tickets.ts";
import type { Views } from "./views.ts";
import type { WorkerDesk } from "./worker-desk.ts";

interface Services extends Pick<Orchestrator, "readiness" | "sources"> {
  readonly store: Store;
  readonly clock: Clock;
  readonly workflows: Workflows;
  readonly plans: Plans;
  readonly executions: Executions;
  readonly operations: Operations;
  readonly forks: Forks;
  readonly actions: Actions;
  readonly views: Views;
  readonly values: DataValues;
  readonly explainer: Explainer;
  readonly lists: Lists;
  readonly observers: Observers;
  readonly desk: WorkerDesk;
  readonly tickets: Tickets;
  readonly servers: ServerRegistry;
}

export function facadeOf(services: Services): Orchestrator {
  const { store, clock, workflows, plans, executions, operations, forks } = services;
  const { actions, views, values, explainer, lists, observers, desk, tickets, servers } = services;
  return {
    saveWorkflow: (definition, options) => tellFaults(() => workflows.save(definition, options)),
    validateWorkflow: (definition) =>
      tellFaults(() => workflows.check(definition, { lenient: false })),
    getWorkflow: (name, version) => tellFaults(() => plans.read(name, version)),
    listWorkflows: (page) => tellFaults(() => plans.list(page)),
    listVersions: (name, page) => tellFaults(() => plans.versions(name, page)),
    deleteWorkflow: (name) => tellFaults(() => plans.delete(name, clock.now())),

    saveAction: (definition, options) =>
      tellFaults(() => workflows.saveAction(definition, options)),
    getAction: (name) => tellFaults(() => actions.get(name)),
    listActions: (page) => tellFaults(() => actions.page(page)),

    start: (request) => tellFaults(() => executions.start(request)),
    getExecution: (id, abort) => tellFaults(() => views.execution(id, abort)),
    readData: (id, path, abort) => tellFaults(() => values.read(id, path, abort)),
    executionStatus: (id) => tellFaults(() => executions.status(id)),
    listExecutions: (request, abort) => tellFaults(() => lists.page(request, abort)),
    listItems: (request) => tellFaults(() => itemsPage(store, plans, request)),
    history: (id, page) => tellFaults(() => observers.history(id, page)),
    explainExecution: (id, abort) => tellFaults(() => explainer.execution(id, abort)),
    explainQueue: (queue, abort) => tellFaults(() => explainer.queue(queue, abort)),
    waitForResult: (id, waitMs, abort) =>
      tellFaults(() => observers.waitForResult(id, waitMs, abort)),
    watch: (request) => tellFaults(() => observers.watch(request)),
    signal: (request) => tellFaults(() => operations.signal(request)),
    signalAll: (request) => tellFaults(() => operations.signalAll(request)),
    fork: (request) => tellFaults(() => forks.fork(request)),
    operate: (request) => tellFaults(() => operations.operate(request)),
    deleteExecution: (id) => tellFaults(() => executions.delete(id)),

    poll: (request) => tellFaults(() => desk.poll(request)),
    complete: (results, workerId) => tellFaults(() => desk.complete(results, workerId)),
    heartbeat: (beats) => tellFaults(() => desk.heartbeat(beats)),
    release: (tokens) => tellFaults(() => desk.release(tokens)),
    actionNames: (tokens) => tellFaults(() => actionNames({ store, plans, clock }, tokens)),
    completeByHandout: (result) => tellFaults(() => desk.completeByHandout(result)),

    readTicket: (ticket) => tellFaults(() => tickets.readTicket(ticket)),
    claimByTicket: (request) => tellFaults(() => tickets.claimByTicket(request)),
    completeByTicket: (result) => tellFaults(() => tickets.completeByTicket(result)),
    ticketParameters: (ticket) => tellFaults(() => tickets.ticketParameters(ticket)),

    workers: () => desk.workers(),
    servers: () => tellFaults(() => servers.list()),
    sources: services.sources,
    readiness: services.readiness,
    broken: () => store.broken?.(),
  };
}
