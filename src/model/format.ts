/**
 * The format of what servers store for each other: states, records, message bodies, keys. One number
 * counts all of them; it rises with a release that writes anything which the release before would
 * misread, however many such things there are.
 *
 *     1  states with records as they are in memory. Read only.
 *     2  states with short records (engine/stored/state.ts); servers that publish no format.
 *     3  servers publish the format that they read (`ServerView.format`); the message that starts a
 *        follow-up tells when its source started, which is part of the follow-up's id; ids of
 *        signals and operations are remembered in fields of data, no longer in the state; records of
 *        large workflows are in small chunks beside the state (`ExecutionState.chunkActions`);
 *        earlier versions of workflows are in chunks (runtime/workflow-heads.ts); numbers of
 *        definitions are read exactly (before, as doubles); hashes of starts whose id callers chose are
 *        those of the values of their payloads (before, of their texts); tasks that fit no Struct are
 *        in queues of their own (`jsonQueueKey`); definitions hold http actions, and references filters.
 *     4  definitions hold what the checks report as new in it (`Report.isNew`); actions that were skipped
 *        by hand (`skippedBy: "hand"`) have a route and an output; executions begin with the flow rule
 *        that failures travel until they are recovered (`ExecutionState.failuresTravel`);
 *        children know their parent (`ExecutionState.parent`), and messages about them are in outboxes
 *        (model/message.ts); the progress of maps is in `ActionRecord.items`, their items and what became
 *        of them in fields of data (engine/stored/items.ts); ids of tasks and timers name items;
 *        reruns leave parameters (`ExecutionState.given`), tasks and timers of earlier
 *        runs (`idRun`), and records to close (`LeftRecord`).
 *     5  definitions of actions hold `deliver`, and messages about their tickets are in outboxes
 *        (`TicketMessage` in model/message.ts).
 *
 * Every format from `oldestFormat` on is read for ever. Which one is written, the store says
 * (`Store.format`): never one that a server beside this one does not read.
 */
export const currentFormat = 5;

/** What a server reads that publishes none; the oldest that a shared store may hold. */
export const oldestFormat = 2;
