/**
 * Where messages are sent to and received from, as documents name it: `kafka:<topic>` in the cluster
 * that the server is given, `sqs:<name>` or `sqs:<URL>`. A document names no brokers, endpoints or
 * secrets: its author is not the operator, and what the server may call is not theirs to choose.
 */
import { topicPattern } from "./kafka/address.ts";

export type BrokerAddress =
  | { readonly kind: "kafka"; readonly topic: string }
  /** `queue` is a name or a URL. */
  | { readonly kind: "sqs"; readonly queue: string; readonly region?: string };

const queueNamePattern = /^[\w-]{1,75}(?:[\w-]{1,5}|\.fifo)?$/;
const queueUrlPattern = /^https?:\/\/[^\s/?#@]+(?:\/[^\s?#]*)?\/([^\s/?#]+)$/;
const regionPattern = /^[a-z]{2}(?:-[a-z]+)+-\d$/;

const rule = "must be kafka:<topic>, sqs:<queue name>[?region=…] or sqs:<queue URL>";

/** Returns the address, or the end of a sentence that begins with what was read. */
export function parseBrokerAddress(
  text: string,
): { readonly value: BrokerAddress } | { readonly problem: string } {
  const topic = /^kafka:(.*)$/s.exec(text)?.[1];
  if (topic !== undefined) {
    if (topicPattern.test(topic)) return { value: { kind: "kafka", topic } };
    const letters = "a topic of letters, digits, dots, underscores and hyphens";
    return { problem: `must name ${letters}; its cluster is the server's (--kafka)` };
  }
  const [, queue, region] = /^sqs:([^?]*)(?:\?region=([^&]*))?$/s.exec(text) ?? [];
  if (queue === undefined) return { problem: rule };
  const isUrl = /^https?:/.test(queue);
  if (
    !(isUrl
      ? queueNamePattern.test(queueUrlPattern.exec(queue)?.[1] ?? "")
      : queueNamePattern.test(queue))
  ) {
    return { problem: rule };
  }
  if (region === undefined) return { value: { kind: "sqs", queue } };
  if (isUrl || !regionPattern.test(region)) return { problem: rule };
  return { value: { kind: "sqs", queue, region } };
}
