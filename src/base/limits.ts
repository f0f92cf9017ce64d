/**
 * Every bound of Orchy in one place, with its unit at the end of its name. The edge enforces them
 * with a clear error; the assertions at the end state how they relate.
 */
export const limits = {
  // Names and ids.
  nameCharsMax: 128,
  executionIdCharsMax: 128,
  correlationIdCharsMax: 256,
  idempotencyKeyCharsMax: 256,
  signalIdCharsMax: 128,
  workerIdCharsMax: 256,
  eventNameCharsMax: 128,
  descriptionCharsMax: 10_000,
  /** Names that are looked through for one that was perhaps meant. */
  namesSuggested: 1_000,
  actionIdNumberMax: 2 ** 31 - 1,

  // Definitions.
  /** The document that each start reads holds less than two chunks of versions. */
  versionsPerChunk: 16,
  versionChunksPerSave: 64,
  definitionBytesMax: 2 * 1024 * 1024,
  /** Values and names of members; names count twice. */
  definitionPartsMax: 500_000,
  definitionActionsMax: 1_000,
  definitionEdgesMax: 20_000,
  definitionReferencesMax: 20_000,
  definitionProblemsMax: 100,
  /** Problems for which the nearest of many names is looked for. */
  definitionHintsMax: 20,
  routesPerActionMax: 200,
  /** Routes are named by data, such as texts that a switch compares with. */
  routeNameCharsMax: 1_024,
  rootActionsMax: 1_000,
  waitEventsMax: 100,
  expressionCharsMax: 65_536,
  pathCharsMax: 1_024,
  pathStepsMax: 64,
  secondsMax: 10 * 366 * 24 * 3600,
  retryCountMax: 1_000,
  priorityMin: -100,
  priorityMax: 100,
  nonRetryableCodesMax: 100,
  errorCodeCharsMax: 128,
  errorMessageCharsMax: 4_096,
  errorDetailsBytesMax: 64 * 1024,

  // Payloads.
  payloadBytesMax: 3 * 1024 * 1024,
  requestBytesMax: 16 * 1024 * 1024,
  pollAnswerBytesMax: 3_670_016,
  jsonDepthMax: 128,
  /** Levels of JSON that make up to three nested messages each in a Struct, of which clients take 100. */
  structDepthMax: 32,
  stringifiedTemplateBytesMax: 3 * 1024 * 1024,

  // Reading data by references, in steps: one for each character that is read; see engine/work.ts.
  actionWorkMax: 16 * 1024 * 1024,
  /** What one action may need of the data in all: no more of it is loaded. */
  actionDataCharsMax: 64 * 1024 * 1024,
  /** Fields of at most a payload each that are loaded at once. */
  fieldsPerLoad: 32,
  /** A decision that has spent this starts no further action; the next decision goes on. */
  decisionWorkMax: 4 * 1024 * 1024,

  // The worker service.
  pollActionsMax: 1_000,
  pollQueuesMax: 100,
  /** Pairs of a queue and an action that one poll names, as it waits in line for each of them. */
  pollPairsMax: 5_000,
  /** Memory for the names of all polls that wait: the largest poll is answered first. */
  parkedPollBytesMax: 256 * 1024 * 1024,
  pollTasksMax: 1_000,
  pollWaitSecondsMax: 60,
  /** Tasks whose holders a server remembers, to tell them of a cancel; some 300 bytes each. */
  heldTasksKept: 100_000,
  cancelledPerAnswerMax: 1_000,
  cancelledWorkersKept: 1_000,
  leaseSecondsMin: 1,
  leaseSecondsMax: 24 * 3600,
  resultsPerCallMax: 1_000,
  heartbeatsPerCallMax: 10_000,
  releasesPerCallMax: 10_000,
  /** Of the tokens of one call, so many are looked at before others get their turn. */
  tokensPerBatch: 128,
  registeredActionsPerCallMax: 1_000,
  /** Queues whose tasks are so large that claims ask for fewer of them. */
  largeQueuesKept: 1_000,
  parkedPollersMax: 20_000,
  progressBytesMax: 64 * 1024,
  /** A worker that has not polled for so long is forgotten; the others share so much memory. */
  workerSeenMs: 5 * 60_000,
  /** Of one worker that polls for other actions each time. */
  workerPollsMax: 1_000,
  workersBytesMax: 16 * 1024 * 1024,
  workersListedBytesMax: 4 * 1024 * 1024,
  /** Memory for the definitions of actions that were read. */
  cachedActionBytesMax: 64 * 1024 * 1024,
  /** Memory for the latest heartbeats; the longest silent ones are forgotten first. */
  beatsBytesMax: 16 * 1024 * 1024,
  /**
   * What one call may come to when it is decoded: values and names of members, as many as payloads of
   * the largest size usually have; and items of one list, more than any list may have.
   */
  rpcPartsMax: 1_500_000,
  rpcItemsMax: 16_384,
  /** Outputs of one call that are parsed in one turn of the event loop, but one at least. */
  outputBytesPerTurnMax: 1024 * 1024,
  rpcTimeoutMsMax: 24 * 3600 * 1000,
  rpcHeaderBytesMax: 16 * 1024,
  grpcStreamsPerConnectionMax: 256,
  /** Calls that a gRPC client may give up at once, and then each second, before it is cut off. */
  grpcResetsMax: 300,
  grpcResetsPerSecondMax: 50,
  /** Beyond it answers are lost without a word, so it lies above what all connections may hold. */
  grpcSessionMebibytesMax: 256,
  /** Heads that are too large, before the connection is ended. */
  grpcRejectedStreamsMax: 10,
  /** Of one address that begins with TLS where there is none, it is warned again after this. */
  wrongPortWarnMs: 10 * 60_000,
  /** A gRPC connection must have greeted after this, TLS included. */
  grpcGreetingMs: 10_000,
  /** A gRPC connection without a call is told to end after this. */
  grpcIdleMs: 5 * 60_000,
  healthWatchersMax: 1_000,
  healthWatchMs: 1_000,

  // Keys.
  keyNameCharsMax: 128,
  keyActionsMax: 1_000,
  /** What was read of a key is trusted for so long: a revocation counts everywhere after it. */
  keyFreshMs: 3_000,
  cachedKeysMax: 1_000,
  /** So many keys that do not exist are looked up within that time, then all keys are listed once. */
  unknownKeysReadMax: 20,
  /** Of one address so many refusals are audit lines within that time; the rest is counted. */
  auditRefusalsMax: 10,
  auditRefusalMs: 60_000,
  /** Lines that wait for the file of --audit-log. */
  auditCharsHeldMax: 8 * 1024 * 1024,
  /** So many addresses are told apart. */
  auditAddressesMax: 1_000,
  /** So many names and origins that are refused are named in the log, each once. */
  refusedNamesToldMax: 100,

  // REST.
  /** Two largest payloads and what is around them: a start with its first signal. */
  restBodyBytesMax: 7 * 1024 * 1024,
  /** Content codings of one body, one within the other. */
  contentCodingsMax: 3,
  /** The window of zstd, as a power of two: memory, and no more than the largest body needs. */
  zstdWindowLogMax: 24,
  /** Of bodies without payloads and definitions: keys, rules of actions, operations. */
  controlBodyBytesMax: 256 * 1024,
  /** Values and names of members of a body; names count twice. Any one payload fits. */
  restPartsMax: 2_200_000,
  /** In longer bodies that are not JSON the place of the mistake is not looked for. */
  syntaxCharsMax: 512 * 1024,
  /** Further requests of one turn of the event loop wait for the next, if they are still wanted. */
  requestsPerTurnMax: 256,
  listLimitDefault: 50,
  listLimitMax: 500,
  /** Lists of executions that are put together at the same time; further ones wait. */
  listsAtOnceMax: 2,
  /** A list asks so many partitions at once, and pauses: other work comes in between. */
  listedPartitionsMax: 16,
  listPauseMs: 2,
  /** The pause is so many times as long as what was read before it took, but not longer than this. */
  listRestShare: 3,
  listPauseMsMax: 20,
  /** Executions that one call of the store looks at for a list, and all calls for one page. */
  listLookMax: 40,
  listPageLookMax: 5_000,
  resultWaitSecondsMax: 60,
  /** Executions that are read for callers at the same time, a few fields of their data at a time. */
  readsAtOnceMax: 4,
  fieldsPerReadMax: 8,
  /** Of the fields read at a time so much is held until the caller has taken it, or one field. */
  fieldsReadCharsMax: 512 * 1024,
  /** Kept of one execution's data until its answer is made: what is shown twice is read once. */
  fieldsKeptCharsMax: 64 * 1024,
  /** A page of a list closes before it is larger than this, but carries at least one item. */
  pageBytesMax: 1024 * 1024,
  documentsPerReadMax: 20,
  /** Longest arrival of a request's body, and memory for all that are arriving. */
  requestBodyMs: 30_000,
  bodyBytesHeldMax: 128 * 1024 * 1024,
  /** A body that announces no more than this is read in one piece, and counted as announced. */
  wholeBodyBytesMax: 64 * 1024,
  /** Longest time for an answer to be taken, and memory for all that are not taken yet. */
  answerMs: 60_000,
  answerBytesHeldMax: 64 * 1024 * 1024,
  /** Smaller answers are not counted: they are left to the connection. */
  pacedAnswerBytesMin: 64 * 1024,
  /** A connection on which nothing moves is closed after this, unless a request waits on it. */
  httpIdleSeconds: 60,
  /** A key (without keys: all callers) may have so many event streams on one server. */
  eventStreamsPerKeyMax: 1_000,
  /** Silence on an event stream before a comment shows that it lives. */
  eventStreamBeatMs: 15_000,
  /** What may wait for a slow reader of an event stream before the stream is closed. */
  eventStreamBytesMax: 1024 * 1024,

  // One commit (sketched for stores with bounded transactions: 100 items on DynamoDB).
  commitEffectsMax: 50,
  commitBytesMax: 4 * 1024 * 1024,
  commitIdsKept: 16,
  commitConflictRetriesMax: 20,
  mailboxEventsPerCommitMax: 50,
  mailboxEventsMax: 10_000,
  systemActionsPerCommitMax: 50,
  groupCommitOperationsMin: 32,
  groupCommitOperationsMax: 256,
  groupCommitMs: 10,

  // One execution.
  signalsBufferedMax: 100,
  /** Ids of signals and operations that were applied are remembered for so long, */
  causeSeconds: 24 * 3600,
  /** in so many fields of so many characters: at least the latest 4,000 of the longest ids. */
  causeFieldsMax: 128,
  causeFieldCharsMax: 8 * 1024,
  /** What servers of format 2 look at: ids in the state. */
  causesInStateMax: 200,
  /** Longer bodies are compared as they were written, and not as values. */
  canonicalCharsMax: 64 * 1024,
  /** The same for the input of a repeated start, which is compared with that of its execution. */
  comparedCharsMax: 1024 * 1024,
  attemptsKept: 10,
  /** Records of so many actions are part of the state, which each commit writes. */
  recordChunkActions: 64,
  /** Those of larger workflows are kept beside it, in chunks of so many. */
  largeChunkActions: 16,
  historyEntriesMax: 10_000,
  followUpDepthMax: 3,
  retentionSecondsDefault: 7 * 24 * 3600,
  retentionFailedSecondsDefault: 30 * 24 * 3600,
  /** Nothing is removed sooner after its end, so that those who wait at other servers see it. */
  retentionMsMin: 1_500,
  /** What a deleted execution leaves, where a caller or a message may name its id once more. */
  tombstoneSecondsDefault: 24 * 3600,
  tombstoneSecondsMin: 600,
  tombstoneSecondsMax: 366 * 24 * 3600,
  /** The same where the server made the id: only late reads and results name it. */
  generatedTombstoneSeconds: 600,
  /** Of a request's hash in a tombstone: 128 bits in hexadecimal, as there may be many of them. */
  keptHashChars: 32,

  // User actions: what applies when neither the action nor its definition says otherwise.
  retryCountDefault: 3,
  retryAfterSecondsDefault: 1,
  retryAfterSecondsMaxDefault: 60,
  retryJitterDefault: 0.2,
  attemptTimeoutSecondsDefault: 300,
  heartbeatSecondsDefault: 30,

  // Loops.
  sleepMsMax: 60_000,
  timersPerClaimMax: 200,
  timerHideMs: 10_000,
  outboxPerClaimMax: 100,
  outboxHideMs: 10_000,
  outboxAttemptsMax: 20,
  sweepMs: 5_000,
  sweptPerRound: 100,
  /** Executions that are entered at once into an index that came after them, and the rest between. */
  indexedPerCall: 100,
  indexRestMs: 20,
  /** How often it is looked whether there is something to enter. */
  indexLookMs: 1_000,
  clockSkewMsMax: 1_000,
  /** A server looks so often whether it runs; a look that is later than this: it stood still. */
  standstillLookMs: 200,
  standstillMsMin: 1_000,
  /** Longest time for which deadlines are held back after a standstill. */
  standstillMs: 5_000,
  drainMs: 10_000,
  /** Where other servers share the store, callers have so long to hear that they should go there. */
  drainTellMs: 500,
  serverBeatMs: 2_000,
  serverTtlMs: 10_000,
  /** On a shared store the others take over within two seconds: a beat and this together. */
  sharedServerBeatMs: 400,
  sharedServerTtlMs: 1_500,
  /**
   * The format of a shared store is raised so long after the last older server has gone: longer than
   * supervisors wait (five minutes) before they start again what has ended.
   */
  formatDelayMsDefault: 10 * 60_000,
  /** What is watched here and perhaps driven elsewhere is looked at after these times, then rarely. */
  watchedFirstLookMs: 25,
  watchedLookMs: 500,
  watchedRestMs: 10_000,
  /** How often servers tell the others what they watch, and how much of it each of them keeps. */
  watchedTellMs: 30_000,
  watchedElsewhereMax: 100_000,
  /** Ids, or other short texts, in one note of a server to the others. */
  textsPerNote: 100,
  /** Cancelled tasks that other servers are told of in one turn of the event loop. */
  droppedTasksPerTurnMax: 1_000,
  /** How often a server looks at the partitions that prefer it, for what others have put there. */
  preferredLookMs: 1_000,
  /** Tasks have waited for so long without any poll for them: the log and the execution say so, */
  unpolledMs: 10_000,
  /** at one of these looks; queues whose workers are busy, or elsewhere, are left alone for the other. */
  unpolledLookMs: 1_000,
  unpolledRestMs: 30_000,
  /** Where other servers share the store, their workers have had so long to change what was found. */
  unpolledSecondMs: 5_000,
  /** Of one queue it is warned again after this, if it has been polled in between. */
  unpolledWarnMs: 10 * 60_000,
  unpolledQueuesMax: 1_000,
  /** After this without a poll that takes JSON, tasks that fit no Struct fail where others poll for them. */
  uncarriedMs: 60_000,
  /** So many are failed at a time. */
  uncarriedPerClaim: 100,
  /** Within this time each partition is asked for queues that no poll has heard of. */
  queueSweepMs: 10_000,

  // Caches.
  cachedExecutionsMax: 50_000,
  cachedExecutionBytesMax: 64 * 1024 * 1024,
  cachedPlansMax: 1_000,

  // Room in the store: above this share of it nothing new is started, and the server is not ready.
  storeUsedMax: 0.95,
  /** Redis refuses writes of every kind at its bound, and needs some of it for itself. */
  redisUsedMax: 0.8,
  /**
   * Kept free on the disk of an embedded store, for its log and what runs already; half of a disk
   * that is smaller than twice that, and what follows in proportion.
   */
  diskReservedBytes: 128 * 1024 * 1024,
  /** Of it, for the write-ahead log. */
  logBytesMax: 64 * 1024 * 1024,
  /** Of it, what nothing is written to but the log: the file stops growing. */
  diskFloorBytes: 16 * 1024 * 1024,
  /** Of that, what is held by a file of no content, and let go when the disk is full all the same. */
  ballastBytes: 8 * 1024 * 1024,
  /** Steps in which the file takes room on the disk. */
  fileStepBytes: 1024 * 1024,
  /** Free room in the file before it takes the next. */
  fileAheadBytes: 4 * 1024 * 1024,
  /** Of that, what starts leave to what runs already, where the disk has no more. */
  fileRunningBytes: 2 * 1024 * 1024,
  /** Pages that only removals may take: they need some before they free more. */
  removalPages: 64,
  /** How fast the log may grow beyond its bound while a reader of the file holds it. */
  logBytesPerSecond: 8 * 1024 * 1024,
  /** Nothing new is started while the log is longer. */
  logBytesHeldMax: 1024 * 1024 * 1024,
  /** Starts that were refused are taken again where so much less is used. */
  startsRegained: 0.01,
  /** Above it finished executions are removed early, until so much less is used. */
  roomRegained: 0.05,
  /** It begins so much below that share: nothing is refused where room is made as fast as used. */
  earlyRetentionLead: 0.01,
  roomLookMs: 1_000,
  /** Between two rounds of removals, while the store is too full. */
  roomRestMs: 100,
  /** Few, as each may hold megabytes: the room is read again after them. */
  earlyRemovalsAtOnce: 64,
  timersListedMax: 200,
  /** Pages of timers that one search for the ends of retentions reads, and at once. */
  timerPagesPerWalk: 64,
  timerPagesAtOnce: 8,
  /** Nothing is removed early so soon after its end. */
  earlyRetentionAgeMs: 10_000,

  /** What takes the main thread for longer is counted and logged: one line in `holdLogMs`. */
  holdMs: 50,
  holdLogMs: 1_000,

  // Metrics: so many workflows are told apart.
  metricWorkflowsMax: 100,

  // Traces: what waits for the collector, and how long it is waited for.
  traceQueueMax: 8_192,
  traceBatchMax: 256,
  traceBatchMs: 1_000,
  traceSendMs: 10_000,
  traceRetryMsMax: 30_000,
  /** Longest delay of a server's end by spans that are still to be sent. */
  traceFlushMs: 1_000,

  // The sandbox.
  scriptMs: 1_000,
  scriptGraceMs: 500,
  scriptMemoryBytes: 64 * 1024 * 1024,
  scriptStackBytes: 512 * 1024,
  scriptOutputBytesMax: 3 * 1024 * 1024,
  scriptProcessesMax: 256,
  /** By default there is one script process for each core, and not more than this. */
  scriptProcessesDefaultMax: 16,
  /**
   * Scripts that may wait in memory for each process: so many whatever they take, and more of those
   * that are quick. The others wait in the store.
   */
  scriptsQueuedMin: 16,
  scriptsQueuedMax: 500,
  scriptQueueBytesMax: 64 * 1024 * 1024,
  /** After this an evaluation whose server is gone is made again by another one. */
  scriptGuardMs: 30_000,
  /** A script that waits in the store is looked at again after as long as it has waited, at least and at most. */
  scriptWaitMsMin: 15_000,
  scriptWaitMsMax: 60_000,
  /** Waiting scripts that a server remembers, so that it takes them as soon as it has room. */
  scriptsRememberedMax: 100_000,

  // Actions that servers run themselves, and http.
  innerTasksMax: 64,
  /** Parameters and responses of those that run: above this no more are taken. */
  innerBytesMax: 64 * 1024 * 1024,
  innerPollMs: 20_000,
  innerBeatMs: 10_000,
  innerBeatMsMin: 100,
  /** After a fault of the store. */
  innerRestMs: 1_000,
  /** After these the lease of the task lapses. */
  innerSettleTries: 10,
  httpTimeoutSecondsDefault: 30,
  httpResponseBytesDefault: 1024 * 1024,
  httpResponseBytesMax: 3 * 1024 * 1024 - 64 * 1024,
  httpRedirectsMax: 5,
  httpExpectedMax: 50,
  /** Of the body that a failed call came with, what its details keep. */
  httpDetailsCharsMax: 4_096,

  // Partitions.
  partitionsDefault: 64,
  /** One process has nothing to spread over, and neighbours share pages: a quarter of the writes. */
  partitionsEmbeddedDefault: 1,
  partitionsMax: 4_096,
} as const;

function check(holds: boolean, sentence: string): void {
  if (!holds) throw new Error(`limits: ${sentence}`);
}

check(limits.pollAnswerBytesMax < 4 * 1024 * 1024, "a poll's answer fits gRPC's default 4 MiB");
check(limits.payloadBytesMax < limits.pollAnswerBytesMax, "one largest task fits a poll's answer");
check(
  limits.rpcItemsMax > Math.max(limits.heartbeatsPerCallMax, limits.releasesPerCallMax),
  "lists of calls are refused by their own limits, which say how long they may be",
);
check(limits.payloadBytesMax < limits.requestBytesMax, "one largest payload fits a request");
check(2 ** limits.zstdWindowLogMax >= limits.requestBytesMax, "a window spans a request");
check(limits.restBodyBytesMax > 2 * limits.payloadBytesMax, "a start with a signal fits a body");
check(
  limits.restPartsMax > (limits.payloadBytesMax * 2) / 3 + 1_000,
  "the payload with the most parts, a list of empty ones, fits a body",
);
check(
  limits.controlBodyBytesMax > limits.keyActionsMax * (limits.nameCharsMax + 3) + 1_000,
  "a key for the most actions fits a body",
);
check(limits.payloadBytesMax < limits.commitBytesMax, "one largest payload fits a commit");
check(limits.actionWorkMax > 5 * limits.payloadBytesMax, "an action may read several payloads");
check(limits.progressBytesMax * 3 < limits.beatsBytesMax, "one largest progress can be kept");
check(limits.scriptOutputBytesMax <= limits.payloadBytesMax, "a script's output is a payload");
check(
  limits.bodyBytesHeldMax >= 4 * limits.requestBytesMax,
  "several largest requests may arrive at once",
);
check(
  limits.answerBytesHeldMax >= 4 * limits.requestBytesMax,
  "several largest answers may be on their way at once",
);
check(
  limits.grpcSessionMebibytesMax * 1024 * 1024 >= 2 * limits.answerBytesHeldMax,
  "what one gRPC connection may hold is bounded by what all may",
);
check(
  limits.grpcResetsMax > limits.grpcStreamsPerConnectionMax,
  "a client may give up all calls of a connection",
);
check(
  limits.scriptsQueuedMin * (limits.scriptMs + limits.scriptGraceMs) < limits.scriptGuardMs,
  "the slowest scripts in the queue end before their guard comes due",
);
check(2 * limits.watchedLookMs < limits.retentionMsMin, "who looks for an end finds it");
check(
  limits.logBytesMax + limits.diskFloorBytes < limits.diskReservedBytes,
  "something of the reserve is for what runs already",
);
check(limits.startsRegained < limits.roomRegained, "early retention ends the refusal of starts");
check(limits.fileRunningBytes < limits.fileAheadBytes, "starts find room in the file");
check(limits.ballastBytes < limits.diskFloorBytes, "the ballast is a part of the floor");
check(limits.logBytesMax < limits.logBytesHeldMax, "a log within its bound holds up no start");
check(
  limits.httpResponseBytesMax < limits.payloadBytesMax,
  "a response and its headers fit an output",
);
check(
  3 * limits.innerBeatMs <= limits.heartbeatSecondsDefault * 1000,
  "two lost beats do not end a task that a server runs",
);
check(limits.mailboxEventsPerCommitMax <= limits.commitEffectsMax, "events of a commit fit it");
check(
  limits.generatedTombstoneSeconds * 1000 >= 10 * limits.outboxHideMs,
  "a tombstone outlives deliveries that are under way",
);
check(limits.standstillLookMs * 4 < limits.standstillMsMin, "a busy server does not stand still");
check(2 * limits.standstillMs <= limits.timerHideMs, "what is held back is not claimed twice");
check(limits.unpolledMs < limits.uncarriedMs, "tasks that will fail are reported before");
check(limits.keyFreshMs < limits.drainMs, "a revocation counts within seconds");
check(limits.serverBeatMs * 3 < limits.serverTtlMs, "two lost beats do not end a server");
check(limits.sharedServerBeatMs * 3 < limits.sharedServerTtlMs, "two lost beats do not end one");
check(
  limits.sharedServerBeatMs + limits.sharedServerTtlMs < 2_000,
  "others take over from a dead server within two seconds",
);
