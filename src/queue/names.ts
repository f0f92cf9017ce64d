/** Names of the queues and topics that carry tickets, one for each queue of Orchy. */
import { createHash } from "node:crypto";

/** SQS takes no longer ones, and Kafka does. */
const charsMax = 80;
const hashChars = 12;

/** What people read of the name comes first; a hash of it all tells those apart that look alike. */
export function brokerQueueName(prefix: string, namespace: string, queue: string): string {
  const hash = createHash("sha256").update(`${namespace}\n${queue}`).digest("hex");
  const readable = `${prefix}-${namespace}-${queue}`.replaceAll(/[^A-Za-z0-9_-]+/g, "-");
  return `${readable.slice(0, charsMax - hashChars - 1)}-${hash.slice(0, hashChars)}`;
}
