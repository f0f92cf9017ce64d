/** What the words of Redis and of its client say about whether a call was applied. */
import { expect, test } from "bun:test";
import { faultOf, sentenceOf } from "../../src/store/redis/faults.ts";

const redirections = "Too many Cluster redirections. Last error: ";

test.each([
  [`${redirections}ReplyError: TRYAGAIN Multiple keys request during rehashing of slot`, true],
  [`${redirections}ReplyError: CLUSTERDOWN Hash slot not served`, true],
  [`${redirections}Error: Connection is closed.`, false],
  [`${redirections}Error: Command timed out`, false],
])("%s: certainly not applied: %p", (message, isCertain) => {
  const { fault, passes } = faultOf(new Error(message), true);
  expect([fault.outcome, passes]).toEqual([isCertain ? "not_applied" : "unknown", isCertain]);
});

test.each([
  ["Stream isn't writeable and enableOfflineQueue options is false", "there is no connection: X"],
  ["Cluster isn't ready and enableOfflineQueue options is false", "there is no connection: X"],
  ["Cluster is disconnected.", "there is no connection: X"],
  ["Node is disconnected", "there is no connection: X"],
  [
    'Reached the max retries per request limit (which is 0). Refer to "maxRetriesPerRequest" option.',
    "the connection ended before the reply",
  ],
  ["Connection is closed.", "the connection is closed"],
  [
    "Socket timeout. Expecting data, but didn't receive any in 5000ms.",
    "there was no reply in time",
  ],
  ["Failed to refresh slots cache.", "no node of the cluster replies"],
  ["All sentinels are unreachable. Retrying from scratch after 10ms.", "no sentinel replies"],
  ["NOAUTH Authentication required.", "NOAUTH Authentication required."],
])("%s: without the client's own options", (message, sentence) => {
  expect(sentenceOf(message, "X")).toBe(sentence);
});
