/** Opens the table of DynamoDB that a URL names, for the records store. */
import { type AwsAttempt, AwsClient } from "../../aws/client.ts";
import { type CredentialSource, findCredentials } from "../../aws/credentials.ts";
import { findRegion } from "../../aws/region.ts";
import { type Clock, type Ids, systemClock, systemIds } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { RecordsDriver } from "../records/driver.ts";
import { openRecordsStore } from "../records/records-store.ts";
import type { Store } from "../store.ts";
import { DynamoAggregates } from "./aggregates.ts";
import { countsOf } from "./capacity.ts";
import { DynamoDocuments } from "./documents.ts";
import { Keys } from "./items.ts";
import { prepareNamespace, prepareTable } from "./prepare.ts";
import { DynamoServers } from "./servers.ts";
import { DynamoShelves } from "./shelves.ts";
import { Table } from "./table.ts";

export interface DynamoOptions {
  /** Keeps installations apart that share a table. */
  readonly namespace: string;
  /** Absent: as the namespace was created; a new one gets limits.partitionsBilledDefault. */
  readonly partitions?: number;
  /** Absent: that of AWS in the region. */
  readonly dynamodbEndpoint?: string;
  readonly log?: Logger;
  readonly clock?: Clock;
  readonly ids?: Ids;
  readonly credentials?: CredentialSource;
  readonly metrics?: Metrics;
  /** Called with each request that has ended. */
  readonly onAttempt?: (attempt: AwsAttempt) => void;
}

/**
 * An item has at most 400 kB with its names; 100 of them change together. No scan misses anything, at
 * whatever moment it was posted.
 */
const driverLimits = {
  bodyBytesMax: 350_000,
  partBytesMax: 350_000,
  changeRowsMax: 99,
  lateMs: 600_000,
  sweepMs: 600_000,
};

/** Throws an Error of one sentence when it cannot be used. */
export async function openDynamoStore(url: string, options: DynamoOptions): Promise<Store> {
  const { clock = systemClock, ids = systemIds, metrics } = options;
  const count = metrics?.countDynamo();
  const counted =
    count === undefined
      ? options
      : { ...options, onAttempt: (one: AwsAttempt) => count(one.operation, ...countsOf(one)) };
  const driver = await openDynamoDriver(url, counted);
  return openRecordsStore(driver, { nonce: ids.nonce(), clock });
}

/** A server needs far fewer; more would only wait inside of the HTTP client, which has 256. */
const inFlightMax = 100;

const shape = "dynamodb://REGION/TABLE, such as dynamodb://eu-central-1/orchy";

/** Throws an Error of one sentence when it cannot be used. */
export async function openDynamoDriver(
  url: string,
  options: DynamoOptions,
): Promise<RecordsDriver> {
  const { namespace, log, clock = systemClock, ids = systemIds } = options;
  const { AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL } = process.env;
  const endpoint =
    options.dynamodbEndpoint || AWS_ENDPOINT_URL_DYNAMODB || AWS_ENDPOINT_URL || undefined;
  const { region, name } = await readAddress(url);
  const credentials = options.credentials ?? findCredentials(clock);
  const client = new AwsClient({
    service: "dynamodb",
    region,
    credentials,
    clock,
    inFlightMax,
    ...defined({ endpoint, onAttempt: options.onAttempt }),
  });
  const table = new Table(name, client);
  const keys = new Keys(namespace);
  const place = { client, table, region, clock, ...defined({ log }) };
  const complaint = await prepareTable(place);
  const { partitions, format } = await prepareNamespace(place, keys, options);
  return {
    name: "dynamodb",
    durability:
      endpoint === undefined
        ? `Acknowledged writes are held in several data centres of ${region} by DynamoDB.`
        : `Acknowledged writes are as durable as what runs at ${client.host}.`,
    partitions,
    limits: driverLimits,
    aggregates: new DynamoAggregates(table, keys, ids),
    shelves: new DynamoShelves(table, keys, clock),
    documents: new DynamoDocuments(table, keys, ids),
    servers: new DynamoServers(table, keys, format),
    timeOffset: () => client.timeOffset,
    complaint: () => complaint,
    close: async () => {},
  };
}

async function readAddress(url: string): Promise<{ region: string; name: string }> {
  const [, given = "", name = ""] = /^dynamodb:\/\/([^/?#]*)\/([^/?#]*)$/.exec(url) ?? [];
  if (!/^[\w.-]{3,255}$/.test(name) || !/^[a-z0-9-]{0,40}$/.test(given)) {
    throw new Error(
      `The address of the DynamoDB store is invalid: write ${shape}; the name of a table has 3 to 255 ` +
        "of A-Z, a-z, 0-9, '_', '-' and '.'.",
    );
  }
  const region = given || (await findRegion());
  if (region === undefined) {
    throw new Error(
      `The DynamoDB store has no region: write ${shape}, or set AWS_REGION, or a region in the profile.`,
    );
  }
  return { region, name };
}
