/** What the words of Redis and of its client say about whether a call was applied. */
import { expect, test } from "bun:test";
import { faultOf } from "../../src/store/redis/faults.ts";

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
