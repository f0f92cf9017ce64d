/**
 * The proxy in front of DynamoDB, as a process: `dynamodb-service.ts ENDPOINT`. Its requests would
 * otherwise wait for those of the run, which wait for servers, which wait for it.
 */
import {
  failure,
  type ProxiedRequest,
  refusal,
  startAwsProxy,
  type Trouble,
} from "../support/aws-proxy.ts";

/** What becomes of some of the requests; undefined: they pass. */
const troubles = {
  throttled: () => refusal("ProvisionedThroughputExceededException"),
  undone: ({ operation, body }: ProxiedRequest) =>
    operation === "BatchWriteItem"
      ? { status: 200, body: { UnprocessedItems: body.RequestItems } }
      : undefined,
  conflicts: ({ operation }: ProxiedRequest) =>
    operation === "TransactWriteItems"
      ? refusal("TransactionCanceledException", "cancelled", {
          CancellationReasons: [{ Code: "TransactionConflict" }],
        })
      : undefined,
  failing: () => failure,
  "failing after": () => "failed after",
} satisfies Record<string, (request: ProxiedRequest) => Trouble | undefined>;

export type TroubleName = keyof typeof troubles;

/** Of a hundred requests. */
const hitPercent = 30;

if (import.meta.main) {
  const service = await startAwsProxy(process.argv[2]!);
  service.keepsRequests = false;
  process.on("message", (name: TroubleName | "none") => {
    service.trouble = (request) =>
      name !== "none" && Math.random() * 100 < hitPercent ? troubles[name](request) : undefined;
  });
  process.send!(service.endpoint);
}
