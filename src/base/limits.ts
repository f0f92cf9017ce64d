/**
 * Every bound of Orchy in one place, with its unit at the end of its name. The edge enforces them
 * with a clear error; the assertions at the end state how they relate.
 */
export const limits = {
  // Names and ids.
  /** Name of a workflow, user action or queue. */
  nameCharsMax: 128,
  /** `executionId` of a start. */
  executionIdCharsMax: 128,
  /** `correlationId` of a start. */
  correlationIdCharsMax: 256,
  /** Header `Idempotency-Key`. */
  idempotencyKeyCharsMax: 256,
  /** `signalId`, and `operationId`. */
  signalIdCharsMax: 128,
  /** `workerId` of a poll. */
  workerIdCharsMax: 256,
  /** Event of a wait or signal. */
  eventNameCharsMax: 128,
  /** `description` of a workflow. */
  descriptionCharsMax: 10_000,
  /** Known names that are compared with an unknown one, to suggest the nearest. */
  namesSuggested: 1_000,
  /** Id of an action, if it is a number. */
  actionIdNumberMax: 2 ** 31 - 1,

  // Definitions.
  /** Versions of a workflow in one stored chunk; starts read less than two chunks. */
  versionsPerChunk: 16,
  /** Chunks of versions that one save splits off. */
  versionChunksPerSave: 64,
  /** A definition, as JSON. */
  definitionBytesMax: 2 * 1024 * 1024,
  /** JSON values in a definition; names of members count twice. */
  definitionPartsMax: 500_000,
  /** Actions of a definition. */
  definitionActionsMax: 1_000,
  /** Edges of a definition: distinct pairs of an action and one that follows it. */
  definitionEdgesMax: 20_000,
  /** References in all templates of a definition. */
  definitionReferencesMax: 20_000,
  /** Problems that are reported for one definition. */
  definitionProblemsMax: 100,
  /** Problems for which the nearest of many names is suggested. */
  definitionHintsMax: 20,
  /** Routes in `next`, and in `onError`, of one action. */
  routesPerActionMax: 200,
  /** Name of a route; routes are named by data, such as texts that a switch compares with. */
  routeNameCharsMax: 1_024,
  /** Ids in `rootAction`. */
  rootActionsMax: 1_000,
  /** Events of one wait. */
  waitEventsMax: 100,
  /** Source of a script. */
  expressionCharsMax: 65_536,
  /** A reference. */
  pathCharsMax: 1_024,
  /** Steps of a reference. */
  pathStepsMax: 64,
  /** Filters and parentheses of a reference inside each other. */
  filterDepthMax: 16,
  /** Any time in a definition. */
  secondsMax: 10 * 366 * 24 * 3600,
  /** `retryCount`. */
  retryCountMax: 1_000,
  /** Lowest `priority`. */
  priorityMin: -100,
  /** Highest `priority`. */
  priorityMax: 100,
  /** Codes in `nonRetryable`. */
  nonRetryableCodesMax: 100,
  /** Code of a failure. */
  errorCodeCharsMax: 128,
  /** Message of a failure; a longer one is cut. */
  errorMessageCharsMax: 4_096,
  /** `details` of a failure. */
  errorDetailsBytesMax: 64 * 1024,

  // Payloads.
  /** An input, parameters, an output or a signal, as JSON. */
  payloadBytesMax: 3 * 1024 * 1024,
  /** A request of a worker. */
  requestBytesMax: 16 * 1024 * 1024,
  /** Response to a poll; it carries at least one task. gRPC clients accept 4 MiB by default. */
  pollAnswerBytesMax: 3_670_016,
  /** Levels of a JSON value. */
  jsonDepthMax: 128,
  /**
   * Levels of a JSON value as Struct: up to three nested messages each, of which clients accept
   * 100.
   */
  structDepthMax: 32,

  // Reading data by references, in steps: one for each character that is read; see language/data/work.ts.
  /** Steps for the references of one action. */
  actionWorkMax: 16 * 1024 * 1024,
  /** Data that the references of one action may need; no more is loaded. */
  actionDataCharsMax: 64 * 1024 * 1024,
  /** Fields, of at most a payload each, that are loaded at once. */
  fieldsPerLoad: 32,
  /** Steps after which a decision starts no further action; the next decision continues. */
  decisionWorkMax: 4 * 1024 * 1024,

  // The worker service.
  /** Actions of one poll. */
  pollActionsMax: 1_000,
  /** Queues of one poll. */
  pollQueuesMax: 100,
  /** Pairs of a queue and an action in one poll, as it waits in a line for each of them. */
  pollPairsMax: 5_000,
  /** Memory for the names of all parked polls; beyond it the largest poll returns. */
  parkedPollBytesMax: 256 * 1024 * 1024,
  /** Tasks of one poll. */
  pollTasksMax: 1_000,
  /** `waitSeconds` of a poll. */
  pollWaitSecondsMax: 60,
  /** Tasks whose workers a server remembers, to report a cancellation; some 300 bytes each. */
  heldTasksKept: 100_000,
  /** Cancelled tasks in one response to a poll. */
  cancelledPerAnswerMax: 1_000,
  /** Workers for which cancellations are kept until their next poll. */
  cancelledWorkersKept: 1_000,
  /** Lowest `leaseSeconds` of a poll. */
  leaseSecondsMin: 1,
  /** Highest `leaseSeconds` of a poll. */
  leaseSecondsMax: 24 * 3600,
  /** Results of one call. */
  resultsPerCallMax: 1_000,
  /** Heartbeats of one call. */
  heartbeatsPerCallMax: 10_000,
  /** Released tasks of one call. */
  releasesPerCallMax: 10_000,
  /** Tokens of one call that are handled before other calls have their turn. */
  tokensPerBatch: 128,
  /** Actions of one registration. */
  registeredActionsPerCallMax: 1_000,
  /** Queues whose tasks are so large that claims ask for fewer of them. */
  largeQueuesKept: 1_000,
  /** Parked polls of a server. */
  parkedPollersMax: 20_000,
  /** `progress` of a heartbeat. */
  progressBytesMax: 64 * 1024,
  /** Time after its last poll for which a worker is listed. */
  workerSeenMs: 5 * 60_000,
  /** Different polls of one worker that are listed. */
  workerPollsMax: 1_000,
  /** Memory for the list of workers. */
  workersBytesMax: 16 * 1024 * 1024,
  /** Response with the list of workers. */
  workersListedBytesMax: 4 * 1024 * 1024,
  /** Memory for definitions of actions that were read. */
  cachedActionBytesMax: 64 * 1024 * 1024,
  /** Memory for the newest heartbeats; those of the longest silence are dropped first. */
  beatsBytesMax: 16 * 1024 * 1024,
  /**
   * JSON values of one call after decoding, about as many as the largest payloads usually have;
   * names of members count twice.
   */
  rpcPartsMax: 1_500_000,
  /** Items of one list in a call; more than the limit of any list. */
  rpcItemsMax: 16_384,
  /** Outputs of one call that are parsed in one turn of the event loop, but one at least. */
  outputBytesPerTurnMax: 1024 * 1024,
  /** Timeout that a caller may announce. */
  rpcTimeoutMsMax: 24 * 3600 * 1000,
  /** Headers of a call. */
  rpcHeaderBytesMax: 16 * 1024,
  /** Calls of one gRPC connection at a time. */
  grpcStreamsPerConnectionMax: 256,
  /** Calls that a gRPC client may abort at once before it is disconnected. */
  grpcResetsMax: 300,
  /** Calls that it may abort each second after that. */
  grpcResetsPerSecondMax: 50,
  /**
   * Memory of a gRPC connection; beyond it responses are lost silently, so it is above what all
   * connections may hold.
   */
  grpcSessionMebibytesMax: 256,
  /** Calls with too large headers before a gRPC connection is closed. */
  grpcRejectedStreamsMax: 10,
  /** Time between two warnings about TLS of one address at a port without it. */
  wrongPortWarnMs: 10 * 60_000,
  /** Time in which a gRPC connection must have greeted, TLS included. */
  grpcGreetingMs: 10_000,
  /** Time without a call after which a gRPC connection is closed. */
  grpcIdleMs: 5 * 60_000,
  /** Streams of gRPC health. */
  healthWatchersMax: 1_000,
  /** Time between two looks for such a stream. */
  healthWatchMs: 1_000,

  // Keys.
  /** Name of a key. */
  keyNameCharsMax: 128,
  /** Actions of a key. */
  keyActionsMax: 1_000,
  /**
   * Time for which a key that was read is trusted; a revocation takes effect everywhere after it.
   */
  keyFreshMs: 3_000,
  /** Keys in the memory of a server. */
  cachedKeysMax: 1_000,
  /** Unknown keys that are looked up within `keyFreshMs` before all keys are listed once. */
  unknownKeysReadMax: 20,
  /**
   * Refusals of one address that leave audit lines within `auditRefusalMs`; the rest is counted.
   */
  auditRefusalsMax: 10,
  /** See `auditRefusalsMax`. */
  auditRefusalMs: 60_000,
  /** Lines that wait for the file of `--audit-log`. */
  auditCharsHeldMax: 8 * 1024 * 1024,
  /** Addresses whose refusals are counted separately. */
  auditAddressesMax: 1_000,
  /** Refused host names and origins that the log names, each once. */
  refusedNamesToldMax: 100,

  // REST.
  /**
   * A body over REST: two largest payloads and what surrounds them, as in a start with a signal.
   */
  restBodyBytesMax: 7 * 1024 * 1024,
  /** Content codings of one body, one within the other. */
  contentCodingsMax: 3,
  /** Window of zstd, as a power of two: memory, and no more than the largest body needs. */
  zstdWindowLogMax: 24,
  /** Bodies without payloads and definitions: keys, rules of actions, operations. */
  controlBodyBytesMax: 256 * 1024,
  /** JSON values of a body; names of members count twice. Any one payload fits. */
  restPartsMax: 2_200_000,
  /** Body that is not JSON for which the place of the mistake is found. */
  syntaxCharsMax: 512 * 1024,
  /** Requests that begin in one turn of the event loop; further ones wait for the next. */
  requestsPerTurnMax: 256,
  /** `limit` of a list, unless it is given. */
  listLimitDefault: 50,
  /** Highest `limit` of a list. */
  listLimitMax: 500,
  /** Lists of executions that are made at the same time; further ones wait. */
  listsAtOnceMax: 2,
  /** Partitions that a list reads at once before it pauses. */
  listedPartitionsMax: 16,
  /** Shortest pause of a list. */
  listPauseMs: 2,
  /** Length of the pause, in multiples of the time that reading took. */
  listRestShare: 3,
  /** Longest pause of a list. */
  listPauseMsMax: 20,
  /** Executions that one call of the store reads for a list. */
  listLookMax: 40,
  /** Executions that all calls read for one page. */
  listPageLookMax: 5_000,
  /** `wait` of a start or a result. */
  resultWaitSecondsMax: 60,
  /** Executions that are read for callers at the same time. */
  readsAtOnceMax: 4,
  /** Fields of their data that are read at a time. */
  fieldsPerReadMax: 8,
  /** Fields that are held until the caller has read them, or one field. */
  fieldsReadCharsMax: 512 * 1024,
  /** Data of one execution that is kept until its response is made, as it is shown twice. */
  fieldsKeptCharsMax: 64 * 1024,
  /** A page of a list; it has at least one item. */
  pageBytesMax: 1024 * 1024,
  /** Documents that are read at once for a list. */
  documentsPerReadMax: 20,
  /** Time in which the body of a request must arrive. */
  requestBodyMs: 30_000,
  /** Memory for all bodies that are arriving. */
  bodyBytesHeldMax: 128 * 1024 * 1024,
  /** Body that is read in one piece, and counted as announced. */
  wholeBodyBytesMax: 64 * 1024,
  /** Time in which a client must read a response. */
  answerMs: 60_000,
  /** Memory for all responses that are not read yet. */
  answerBytesHeldMax: 64 * 1024 * 1024,
  /** Smallest response that is counted; others are left to the connection. */
  pacedAnswerBytesMin: 64 * 1024,
  /** Time after which an idle connection is closed, unless a request waits on it. */
  httpIdleSeconds: 60,
  /** Event streams of a key (without keys: of all callers) on one server. */
  eventStreamsPerKeyMax: 1_000,
  /** Silence on an event stream before a comment shows that it is alive. */
  eventStreamBeatMs: 15_000,
  /** Data that may wait for a slow reader of an event stream before it is closed. */
  eventStreamBytesMax: 1024 * 1024,

  // One commit (sketched for stores with bounded transactions: 100 items on DynamoDB).
  /** Effects of a commit: tasks, timers, messages, history. */
  commitEffectsMax: 50,
  /** Size of a commit. */
  commitBytesMax: 4 * 1024 * 1024,
  /** Commit ids of an execution that are remembered. */
  commitIdsKept: 16,
  /** Attempts to commit after conflicts. */
  commitConflictRetriesMax: 20,
  /** Events that one commit applies. */
  mailboxEventsPerCommitMax: 50,
  /** Events that wait for one execution. */
  mailboxEventsMax: 10_000,
  /** System actions that one commit starts. */
  systemActionsPerCommitMax: 50,
  /** SQLite: operations that are worth a transaction while the log of the one before is synced. */
  groupCommitOperationsMin: 32,
  /** SQLite: operations of one transaction. */
  groupCommitOperationsMax: 256,
  /** SQLite: time that a transaction may take. */
  groupCommitMs: 10,

  // One execution.
  /** Signals that no wait has consumed. */
  signalsBufferedMax: 100,
  /** Time for which ids of applied signals and operations are remembered. */
  causeSeconds: 24 * 3600,
  /** Fields of data that hold them: at least the newest 4,000 of the longest ids. */
  causeFieldsMax: 128,
  /** Size of such a field. */
  causeFieldCharsMax: 8 * 1024,
  /** Ids in the state, which servers of format 2 read. */
  causesInStateMax: 200,
  /** Payload that is compared by value; longer ones are compared as written. */
  canonicalCharsMax: 64 * 1024,
  /** Input of a repeated start that is compared by value with that of its execution. */
  comparedCharsMax: 1024 * 1024,
  /** Attempts that are kept of an action. */
  attemptsKept: 10,
  /** Actions whose records are part of the state, which each commit writes. */
  recordChunkActions: 64,
  /** Records of larger workflows in one chunk beside the state. */
  largeChunkActions: 16,
  /** Entries in the history of an execution. */
  historyEntriesMax: 10_000,
  /** Follow-ups in a chain. */
  followUpDepthMax: 3,
  /** Retention of a completed execution. */
  retentionSecondsDefault: 7 * 24 * 3600,
  /** Retention of one that did not complete. */
  retentionFailedSecondsDefault: 30 * 24 * 3600,
  /** Shortest retention, so that callers that wait at other servers get the result. */
  retentionMsMin: 1_500,
  /** Time for which a deleted id is remembered that a caller or a message chose. */
  tombstoneSecondsDefault: 24 * 3600,
  /** Lowest `--tombstone-seconds`. */
  tombstoneSecondsMin: 600,
  /** Highest `--tombstone-seconds`. */
  tombstoneSecondsMax: 366 * 24 * 3600,
  /** Time for which a deleted id is remembered that the server made. */
  generatedTombstoneSeconds: 600,
  /** Hash of a request in a tombstone: 128 bits, as there may be many. */
  keptHashChars: 32,

  // User actions: what applies when neither the action nor its definition says otherwise.
  /** `retryCount`. */
  retryCountDefault: 3,
  /** `retryAfterSeconds`. */
  retryAfterSecondsDefault: 1,
  /** `maxRetryAfterSeconds`. */
  retryAfterSecondsMaxDefault: 60,
  /** `jitter`. */
  retryJitterDefault: 0.2,
  /** `timeoutSeconds` of an attempt. */
  attemptTimeoutSecondsDefault: 300,
  /** `heartbeatSeconds`, for workers that send heartbeats. */
  heartbeatSecondsDefault: 30,

  // Loops.
  /** Longest sleep of a loop. */
  sleepMsMax: 60_000,
  /** Due timers of one claim. */
  timersPerClaimMax: 200,
  /** Time for which claimed timers are hidden from other servers. */
  timerHideMs: 10_000,
  /** Messages of one claim. */
  outboxPerClaimMax: 100,
  /** Time for which claimed messages are hidden from other servers. */
  outboxHideMs: 10_000,
  /** Deliveries of a message before it is given up. */
  outboxAttemptsMax: 20,
  /** Time between two rounds of the sweeper. */
  sweepMs: 5_000,
  /** Executions that one round checks. */
  sweptPerRound: 100,
  /** Executions that are entered at once into an index that was added after them. */
  indexedPerCall: 100,
  /** Pause after that. */
  indexRestMs: 20,
  /** Time between two looks for such executions. */
  indexLookMs: 1_000,
  /** Difference of a server's `now` from the clock of a store. */
  clockSkewMsMax: 1_000,
  /** Time between two looks at whether this server runs. */
  standstillLookMs: 200,
  /** Lateness of such a look that counts as a standstill. */
  standstillMsMin: 1_000,
  /** Longest delay of deadlines after a standstill. */
  standstillMs: 5_000,
  /** Time for what is under way when a server stops. */
  drainMs: 10_000,
  /** Shared store: time in which callers are told to use another server. */
  drainTellMs: 500,
  /** Time between two beats of a server in the registry. */
  serverBeatMs: 2_000,
  /** Time without a beat after which a server counts as gone. */
  serverTtlMs: 10_000,
  /** The same on a shared store: others take over within two seconds. */
  sharedServerBeatMs: 400,
  /** The same on a shared store. */
  sharedServerTtlMs: 1_500,
  /**
   * Time without older servers before the format of a shared store rises: longer than the five
   * minutes after which supervisors restart what has ended.
   */
  formatDelayMsDefault: 10 * 60_000,
  /** First look at an execution that is watched here and may be driven elsewhere. */
  watchedFirstLookMs: 25,
  /** Further looks. */
  watchedLookMs: 500,
  /** Looks at one that has been watched for long. */
  watchedRestMs: 10_000,
  /** Time between two notes to other servers about what is watched here. */
  watchedTellMs: 30_000,
  /** Executions watched at other servers that a server remembers. */
  watchedElsewhereMax: 100_000,
  /** Ids, or other short texts, in one note between servers. */
  textsPerNote: 100,
  /** Cancelled tasks that are reported to other servers in one turn of the event loop. */
  droppedTasksPerTurnMax: 1_000,
  /** Time between two looks at the partitions that prefer this server. */
  preferredLookMs: 1_000,
  /** Time without any poll after which waiting tasks are reported. */
  unpolledMs: 10_000,
  /** Time between two looks for such tasks. */
  unpolledLookMs: 1_000,
  /** The same in queues whose workers are busy or at other servers. */
  unpolledRestMs: 30_000,
  /** Shared store: time in which workers of other servers may still poll. */
  unpolledSecondMs: 5_000,
  /** Time between two warnings about one queue, if it was polled in between. */
  unpolledWarnMs: 10 * 60_000,
  /** Queues that are remembered for this. */
  unpolledQueuesMax: 1_000,
  /** Time without a poll that takes JSON after which tasks that fit no Struct fail. */
  uncarriedMs: 60_000,
  /** Such tasks that are failed at a time. */
  uncarriedPerClaim: 100,
  /** Time in which each partition is asked for queues that no poll knows of. */
  queueSweepMs: 10_000,

  // Caches.
  /** Executions in the memory of a server. */
  cachedExecutionsMax: 50_000,
  /** Memory for them. */
  cachedExecutionBytesMax: 64 * 1024 * 1024,
  /** Compiled workflows in the memory of a server. */
  cachedPlansMax: 1_000,

  // Room in the store: above this share of it nothing new is started, and the server is not ready.
  /** SQLite: share of the room in use above which starts are refused. */
  storeUsedMax: 0.95,
  /**
   * Redis: the same share; it needs some memory for itself, and refuses all writes at its bound.
   */
  redisUsedMax: 0.8,
  /**
   * Kept free on the disk of an embedded store, for its log and what runs already. On a disk
   * smaller than twice that, half of it, and the next ones in proportion.
   */
  diskReservedBytes: 128 * 1024 * 1024,
  /** Part of it for the write-ahead log. */
  logBytesMax: 64 * 1024 * 1024,
  /** Part of it that only the log may use: the file stops growing. */
  diskFloorBytes: 16 * 1024 * 1024,
  /** Part of that which an empty file holds, to be deleted when the disk is full all the same. */
  ballastBytes: 8 * 1024 * 1024,
  /** Steps in which the file takes room on the disk. */
  fileStepBytes: 1024 * 1024,
  /** Free room in the file below which it takes the next step. */
  fileAheadBytes: 4 * 1024 * 1024,
  /** Part of that which starts leave to what runs already, where the disk has no more. */
  fileRunningBytes: 2 * 1024 * 1024,
  /** Pages that only removals may use: they need some before they free more. */
  removalPages: 64,
  /** Growth of the log beyond its bound while a reader of the file holds it. */
  logBytesPerSecond: 8 * 1024 * 1024,
  /** Time between two tries to put a log on disk again that found no room there. */
  logKeepMs: 1_000,
  /** Length of the log above which starts are refused. */
  logBytesHeldMax: 1024 * 1024 * 1024,
  /** Share that must be free again before refused starts are accepted. */
  startsRegained: 0.01,
  /** Share that early removals free. */
  roomRegained: 0.05,
  /** Share below the bound at which early removals begin. */
  earlyRetentionLead: 0.01,
  /** Time between two looks at the room. */
  roomLookMs: 1_000,
  /** Pause between two rounds of removals while the store is too full. */
  roomRestMs: 100,
  /** Executions of one round: few, as each may hold megabytes. */
  earlyRemovalsAtOnce: 64,
  /** Timers in one page. */
  timersListedMax: 200,
  /** Pages of timers that one search for ends of retentions reads. */
  timerPagesPerWalk: 64,
  /** Pages that it reads at once. */
  timerPagesAtOnce: 8,
  /** Time after its end in which no execution is removed early. */
  earlyRetentionAgeMs: 10_000,

  /** Time on the main thread beyond which an operation is counted and logged. */
  holdMs: 50,
  /** Time between two such lines in the log. */
  holdLogMs: 1_000,

  // Metrics: so many workflows are told apart.
  /** Workflows with their own value of the label `workflow`. */
  metricWorkflowsMax: 100,

  // Traces: what waits for the collector, and how long it is waited for.
  /** Spans that wait for the collector. */
  traceQueueMax: 8_192,
  /** Spans of one request to it. */
  traceBatchMax: 256,
  /** Time for which a request collects spans. */
  traceBatchMs: 1_000,
  /** Time that a request may take. */
  traceSendMs: 10_000,
  /** Longest pause before it is repeated. */
  traceRetryMsMax: 30_000,
  /** Time for which a server that stops waits for the collector. */
  traceFlushMs: 1_000,

  // The sandbox.
  /** CPU time of a script. */
  scriptMs: 1_000,
  /** Time after that in which its process is killed. */
  scriptGraceMs: 500,
  /** Memory of a script. */
  scriptMemoryBytes: 64 * 1024 * 1024,
  /** Stack of a script. */
  scriptStackBytes: 512 * 1024,
  /** Output of a script. */
  scriptOutputBytesMax: 3 * 1024 * 1024,
  /** Highest `--script-processes`. */
  scriptProcessesMax: 256,
  /** Script processes by default: one for each core, at most this many. */
  scriptProcessesDefaultMax: 16,
  /**
   * Scripts that may wait in memory for each process, however long they take. Others wait in the
   * store.
   */
  scriptsQueuedMin: 16,
  /** Scripts that may wait in memory for each process if they are quick. */
  scriptsQueuedMax: 500,
  /** Memory for scripts that wait. */
  scriptQueueBytesMax: 64 * 1024 * 1024,
  /** Time after which another server evaluates a script whose server is gone. */
  scriptGuardMs: 30_000,
  /** Shortest time until a script that waits in the store is looked at again. */
  scriptWaitMsMin: 15_000,
  /** Longest such time. */
  scriptWaitMsMax: 60_000,
  /** Scripts waiting in the store that a server remembers, to take them as soon as it has room. */
  scriptsRememberedMax: 100_000,

  // Actions that servers run themselves, and http.
  /** Tasks of one server's own worker at the same time. */
  innerTasksMax: 64,
  /** Parameters and responses of those tasks; above it no more are taken. */
  innerBytesMax: 64 * 1024 * 1024,
  /** Time for which its poll waits. */
  innerPollMs: 20_000,
  /** Time between two of its heartbeats. */
  innerBeatMs: 10_000,
  /** Shortest such time, for actions with a short `heartbeatSeconds`. */
  innerBeatMsMin: 100,
  /** Pause after a fault of the store. */
  innerRestMs: 1_000,
  /** Attempts to settle a result; after them the lease of the task ends. */
  innerSettleTries: 10,
  /** `timeoutSeconds` of an http action. */
  httpTimeoutSecondsDefault: 30,
  /** `responseBytesMax` of an http action. */
  httpResponseBytesDefault: 1024 * 1024,
  /** Highest `responseBytesMax`. */
  httpResponseBytesMax: 3 * 1024 * 1024 - 64 * 1024,
  /** Redirects of one request. */
  httpRedirectsMax: 5,
  /** Statuses in `expect`. */
  httpExpectedMax: 50,
  /** Start of the body of a failed request that its details keep. */
  httpDetailsCharsMax: 4_096,

  // Partitions.
  /** Partitions of a shared store. */
  partitionsDefault: 64,
  /**
   * Partitions of an embedded store: one process has nothing to spread over, and neighbours share
   * pages.
   */
  partitionsEmbeddedDefault: 1,
  /** Highest `--partitions`. */
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
