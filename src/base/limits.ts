/**
 * The bounds that a caller or an operator can meet, by theme in limits/, each with its unit at the
 * end of its name. The edge enforces them with a clear error; the assertions at the end state how
 * they relate. A bound of one file that nobody meets stands in that file.
 */
import { brokerLimits } from "./limits/brokers.ts";
import { dataLimits } from "./limits/data.ts";
import { executionLimits } from "./limits/execution.ts";
import { keyLimits } from "./limits/keys.ts";
import { languageLimits } from "./limits/language.ts";
import { restLimits } from "./limits/rest.ts";
import { serverLimits } from "./limits/servers.ts";
import { sourceLimits } from "./limits/sources.ts";
import { storeLimits } from "./limits/store.ts";
import { systemActionLimits } from "./limits/system-actions.ts";
import { telemetryLimits } from "./limits/telemetry.ts";
import { workerServiceLimits } from "./limits/worker-service.ts";

export const limits = {
  ...languageLimits,
  ...dataLimits,
  ...workerServiceLimits,
  ...keyLimits,
  ...restLimits,
  ...executionLimits,
  ...serverLimits,
  ...storeLimits,
  ...telemetryLimits,
  ...systemActionLimits,
  ...brokerLimits,
  ...sourceLimits,
} as const;

function check(holds: boolean, sentence: string): void {
  if (!holds) throw new Error(`limits: ${sentence}`);
}

check(limits.pollResponseBytesMax < 4 * 1024 * 1024, "a poll's answer fits gRPC's default 4 MiB");
check(
  limits.payloadBytesMax < limits.pollResponseBytesMax,
  "one largest task fits a poll's answer",
);
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
  limits.bodyBacklogBytesMax >= 4 * limits.requestBytesMax,
  "several largest requests may arrive at once",
);
check(
  limits.responseBacklogBytesMax >= 4 * limits.requestBytesMax,
  "several largest answers may be on their way at once",
);
check(
  limits.grpcSessionMebibytesMax * 1024 * 1024 >= 2 * limits.responseBacklogBytesMax,
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
check(limits.startsRegained < limits.spaceRegained, "early retention ends the refusal of starts");
check(limits.fileRunningBytes < limits.fileAheadBytes, "starts find room in the file");
check(limits.ballastBytes < limits.diskFloorBytes, "the ballast is a part of the floor");
check(limits.logBytesMax < limits.logBytesForStartsMax, "a log within its bound holds up no start");
check(
  limits.httpResponseBytesMax < limits.payloadBytesMax,
  "a response and its headers fit an output",
);
check(
  3 * limits.innerBeatMs <= limits.heartbeatSecondsDefault * 1000,
  "two lost beats do not end a task that a server runs",
);
check(
  limits.commitEffectsMax < limits.commitRowsMax,
  "a commit has room for fields beside its effects",
);
check(limits.commitRowsMax < 100, "a commit and its head fit a transaction of 100 items");
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
check(limits.billedServerBeatMs * 3 < limits.billedServerTtlMs, "two lost beats do not end one");
check(
  limits.billedServerBeatMs + limits.billedServerTtlMs < 15_000,
  "others take over soon from a dead server, also where looks are billed",
);
check(
  limits.sharedServerBeatMs + limits.sharedServerTtlMs < 2_000,
  "others take over from a dead server within two seconds",
);
