/** The table of a store: created where it is missing, checked, and opened for its namespace. */
import type { AwsClient } from "../../aws/client.ts";
import { AwsFault, isUnreachable, isUnsigned } from "../../aws/faults.ts";
import { type Clock, pause } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import { currentFormat, oldestFormat } from "../../model/format.ts";
import type { Logger } from "../../telemetry/log.ts";
import { checkPartitions, type Namespace } from "../kit/namespace.ts";
import {
  conditionOf,
  expiryName,
  type Item,
  itemKey,
  type Keys,
  number,
  numberIn,
} from "./items.ts";
import { settingsName } from "./servers.ts";
import { isConditionFailed, type Table } from "./table.ts";

/** Of the items of this driver (items.ts); a server refuses a newer one. */
const layout = 1;

const pollMs = 500;
const createMsMax = 120_000;

interface Place {
  readonly client: AwsClient;
  readonly table: Table;
  readonly region: string;
  readonly clock: Clock;
  readonly log?: Logger;
}

interface Description {
  readonly TableStatus: string;
  readonly KeySchema: readonly { readonly AttributeName: string; readonly KeyType: string }[];
  readonly AttributeDefinitions: readonly {
    readonly AttributeName: string;
    readonly AttributeType: string;
  }[];
}

const keySchema = [
  { AttributeName: "pk", KeyType: "HASH" },
  { AttributeName: "sk", KeyType: "RANGE" },
];
const attributes = [
  { AttributeName: "pk", AttributeType: "S" },
  { AttributeName: "sk", AttributeType: "S" },
];

/** Returns a complaint where the table does not forget what expires. Throws an Error of one sentence. */
export async function prepareTable(place: Place): Promise<string | undefined> {
  const found = await describe(place);
  const description = found ?? (await create(place));
  const types = new Map(
    description.AttributeDefinitions.map((one) => [one.AttributeName, one.AttributeType]),
  );
  const keys = description.KeySchema.map(
    ({ AttributeName, KeyType }) => `${AttributeName} ${KeyType} ${types.get(AttributeName)}`,
  );
  const wanted = ["pk HASH S", "sk RANGE S"];
  if (keys.toSorted().join() !== wanted.join()) {
    throw new Error(
      `The table ${place.table.name} is not one of Orchy: it has the keys ${keys.join(", ")}, not ` +
        `${wanted.join(", ")}. Name another table in the store's URL: it is created at the start.`,
    );
  }
  return await expire(place);
}

/** Undefined: there is none. */
async function describe(place: Place): Promise<Description | undefined> {
  const { client, table, clock } = place;
  for (const startedAt = clock.now(); ; ) {
    try {
      const request = { TableName: table.name };
      const { Table: found } = await client.call<{ readonly Table: Description }>(
        "DescribeTable",
        request,
        { isRepeatable: true },
      );
      if (found.TableStatus !== "CREATING") return found;
    } catch (error) {
      if (error instanceof AwsFault && error.code === "ResourceNotFoundException") return undefined;
      throw sentence(error, place);
    }
    if (clock.now() - startedAt > createMsMax) {
      throw new Error(`The table ${table.name} is still being created; start again later.`);
    }
    await pause(pollMs, clock);
  }
}

async function create(place: Place): Promise<Description> {
  const { client, table, log, region } = place;
  try {
    await client.call("CreateTable", {
      TableName: table.name,
      KeySchema: keySchema,
      AttributeDefinitions: attributes,
      BillingMode: "PAY_PER_REQUEST",
    });
    const advice = "point-in-time recovery is off until you enable it; see docs/dynamodb.md";
    log?.info("created the table of the store", { table: table.name, region, advice });
  } catch (error) {
    const code = error instanceof AwsFault ? error.code : "";
    if (code === "AccessDeniedException") {
      throw new Error(
        `There is no table ${table.name} in ${region}, and these credentials may not create it. ` +
          `Create it: ${createStatement(place)}`,
      );
    }
    // Another server has created it meanwhile.
    if (code !== "ResourceInUseException") throw sentence(error, place);
  }
  const made = await describe(place);
  if (made === undefined) throw new Error(`The table ${table.name} was deleted while it was made.`);
  return made;
}

async function expire(place: Place): Promise<string | undefined> {
  const { client, table } = place;
  const TableName = table.name;
  try {
    const { TimeToLiveDescription: known } = await client.call<{
      readonly TimeToLiveDescription?: { readonly TimeToLiveStatus?: string };
    }>("DescribeTimeToLive", { TableName }, { isRepeatable: true });
    if (known?.TimeToLiveStatus?.startsWith("ENABL")) return undefined;
    const TimeToLiveSpecification = { Enabled: true, AttributeName: expiryName };
    await client.call("UpdateTimeToLive", { TableName, TimeToLiveSpecification });
    return undefined;
  } catch (error) {
    // Others may have enabled it a moment ago; and what stays costs its room alone.
    if (!(error instanceof AwsFault) || error.outcome === "unknown") throw sentence(error, place);
    if (error.code !== "AccessDeniedException") return undefined;
    return `The table ${TableName} may keep what has expired. Enable it: ${expireStatement(place)}`;
  }
}

/** Throws an Error of one sentence when this server cannot use the namespace. */
export async function prepareNamespace(
  place: Place,
  keys: Keys,
  options: { readonly namespace: string; readonly partitions?: number },
): Promise<Namespace> {
  const { namespace, partitions = limits.partitionsBilledDefault } = options;
  const { table } = place;
  const settings = await readSettings(place, keys, partitions);
  const stored = numberIn(settings, "partitions");
  const format = numberIn(settings, "format");
  if (numberIn(settings, "layout") > layout || format > currentFormat) {
    throw new Error(
      `The namespace ${namespace} of the table ${table.name} was written by a newer Orchy (format ` +
        `${format}; this one reads ${oldestFormat} to ${currentFormat}). Start that version, or a ` +
        "newer one.",
    );
  }
  checkPartitions(stored, options);
  return { partitions: stored, format };
}

async function readSettings(place: Place, keys: Keys, partitions: number): Promise<Item> {
  const { table } = place;
  const key = itemKey(keys.node, settingsName);
  const item = {
    ...key,
    layout: number(layout),
    partitions: number(partitions),
    format: number(currentFormat),
  };
  try {
    const found = await table.get(keys.node, settingsName);
    if (found !== undefined) return found;
    const known = { ReturnValuesOnConditionCheckFailure: "ALL_OLD" };
    await table.run("PutItem", { Item: item, ...conditionOf(null), ...known }, true);
    return item;
  } catch (error) {
    // Another server was first.
    if (isConditionFailed(error) && error.body.Item !== undefined) return error.body.Item as Item;
    throw sentence((error as Error).cause ?? error, place);
  }
}

/** What is wrong at a start, and what to do. */
function sentence(error: unknown, { client, region, table }: Place): unknown {
  if (!(error instanceof AwsFault)) return error;
  const { code, message } = error;
  if (code === "AccessDeniedException") {
    return new Error(
      `DynamoDB does not permit the use of the table ${table.name} in ${region}: ${message}. Grant what ` +
        "docs/dynamodb.md lists.",
    );
  }
  if (code === "CredentialsNotFound") {
    return new Error(`DynamoDB cannot be used: ${message}.`);
  }
  if (isUnsigned(error)) {
    return new Error(
      `DynamoDB refuses the AWS credentials (${message}). Check that they are valid in ${region}.`,
    );
  }
  if (isUnreachable(error)) {
    return new Error(
      `DynamoDB cannot be reached at ${client.host} (${code}). Check the region of the store's URL, ` +
        "dynamodb://REGION/TABLE, or --dynamodb-endpoint.",
    );
  }
  return new Error(`DynamoDB at ${client.host} cannot be used: ${message}.`);
}

function createStatement(place: Place): string {
  const { table, region } = place;
  const definitions = attributes
    .map((one) => `AttributeName=${one.AttributeName},AttributeType=${one.AttributeType}`)
    .join(" ");
  const schema = keySchema
    .map((one) => `AttributeName=${one.AttributeName},KeyType=${one.KeyType}`)
    .join(" ");
  return (
    `aws dynamodb create-table --region ${region} --table-name ${table.name} ` +
    `--attribute-definitions ${definitions} --key-schema ${schema} ` +
    "--billing-mode PAY_PER_REQUEST && " +
    `aws dynamodb wait table-exists --region ${region} --table-name ${table.name} && ` +
    expireStatement(place)
  );
}

function expireStatement({ table, region }: Place): string {
  return (
    `aws dynamodb update-time-to-live --region ${region} --table-name ${table.name} ` +
    `--time-to-live-specification Enabled=true,AttributeName=${expiryName}`
  );
}
