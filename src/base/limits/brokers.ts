/** Brokers: queues of SQS and topics of Kafka. */
export const brokerLimits = {
  /** What one request to a broker carries: SQS's bound, and below that of Kafka. */
  brokerBatchBytesMax: 256 * 1024,
  /** Messages that have come from a broker and wait for somebody to take them, of each receiver. */
  brokerBufferedMax: 500,
  /** Their size; one answer of the broker more may come. */
  brokerBufferedBytesMax: 8 * 1024 * 1024,
  /** Queues that a server receives tickets of at the same time; others wait for their turn. */
  ticketReceivesMax: 100,
  /** What one answer of Kafka carries. */
  brokerFetchBytesMax: 4 * 1024 * 1024,
  /** Parameters of a task in the message to a broker; larger ones are read from the server. */
  ticketParametersBytesMax: 200 * 1024,
} as const;
