/** What a request to DynamoDB cost, for metrics. */
import type { AwsAttempt } from "../../aws/client.ts";

interface Consumed {
  readonly CapacityUnits?: number;
}

/** Its outcome, and the capacity units that it consumed. */
export function countsOf({ outcome, body }: AwsAttempt): [outcome: string, units: number] {
  const { ConsumedCapacity, UnprocessedItems, UnprocessedKeys } = (body ?? {}) as {
    readonly ConsumedCapacity?: Consumed | readonly Consumed[];
    readonly UnprocessedItems?: object;
    readonly UnprocessedKeys?: object;
  };
  const all = [ConsumedCapacity ?? []].flat() as readonly Consumed[];
  const units = all.reduce((sum, { CapacityUnits = 0 }) => sum + CapacityUnits, 0);
  const isPartial = Object.keys({ ...UnprocessedItems, ...UnprocessedKeys }).length > 0;
  return [isPartial ? "unprocessed" : outcome, units];
}
