/**
 * A process that takes DynamoDB's place for a client whose processor time is measured: it accepts every
 * write after some milliseconds, as DynamoDB does, and keeps nothing. Sends its endpoint to its parent.
 */

/** What DynamoDB takes for a small write. */
const replyMs = 5;

const keys = ["pk", "sk"];
const described = {
  Table: {
    TableStatus: "ACTIVE",
    KeySchema: keys.map((AttributeName, i) => ({ AttributeName, KeyType: ["HASH", "RANGE"][i] })),
    AttributeDefinitions: keys.map((AttributeName) => ({ AttributeName, AttributeType: "S" })),
  },
};
const replies: Readonly<Record<string, object>> = {
  DescribeTable: described,
  DescribeTimeToLive: { TimeToLiveDescription: { TimeToLiveStatus: "ENABLED" } },
};
const accepted = { ConsumedCapacity: { TableName: "orchy-test", CapacityUnits: 1 } };

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request) {
    await request.arrayBuffer();
    await Bun.sleep(replyMs);
    const operation = `${request.headers.get("x-amz-target")}`.split(".").at(-1) as string;
    return Response.json(replies[operation] ?? accepted);
  },
});
process.send!(server.url.origin);
