/** What a definition may say: names, sizes, counts, and what applies where it is silent. */
export const languageLimits = {
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
  /** Id of an action, if it is a number. */
  actionIdNumberMax: 2 ** 31 - 1,

  // Definitions.
  /** Versions of a workflow in one stored chunk; starts read less than two chunks. */
  versionsPerChunk: 16,
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
  /** Routes in `next`, and in `onError`, of one action. */
  routesPerActionMax: 200,
  /** Name of a route; routes are named by data, such as texts that a switch compares with. */
  routeNameCharsMax: 1_024,
  /** Ids in `rootAction`. */
  rootActionsMax: 1_000,
  /** Cases of one switch. */
  switchCasesMax: 100,
  /** JSON values of one condition: those inside it, operators, elements of lists. */
  conditionPartsMax: 1_000,
  /** Events of one wait. */
  waitEventsMax: 100,
  /** Source of a script. */
  expressionCharsMax: 65_536,
  /** A reference. */
  pathCharsMax: 1_024,
  /** Steps of a reference. */
  pathStepsMax: 64,
  /** Defaults of a reference. */
  pathDefaultsMax: 16,
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
} as const;
