/** What both brokers are for the rest of the server: places to send to, and to receive from. */

export interface OutgoingMessage {
  readonly body: string;
  /** Messages of one key stay in order (Kafka, and queues of SQS that end in .fifo). */
  readonly key?: string;
  /** Of what is sent again with it, a queue of SQS that ends in .fifo keeps one for five minutes. */
  readonly id?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface IncomingMessage {
  /** The same whenever it is delivered again: topic/partition/offset, or SQS's MessageId. */
  readonly id: string;
  readonly body: string;
  readonly key?: string;
  /** The broker keeps the order of those of one group; absent: it is in order with none. */
  readonly group?: string;
  readonly headers: Readonly<Record<string, string>>;
  /** When it was sent, as the broker has it. */
  readonly sentAt: number;
  /** How often it has been delivered, this time too; absent: the broker does not count. */
  readonly deliveries?: number;
  /** Kafka alone. */
  readonly topic?: string;
  readonly partition?: number;
  /** In decimal digits, as it may be beyond the safe integers. */
  readonly offset?: string;
  /** For `ack` and `giveBack`; of no meaning to others. */
  readonly handle: string;
}

export interface Sender {
  /** One outcome for each message, in their order; undefined: the broker has it. Never throws. */
  send(messages: readonly OutgoingMessage[]): Promise<readonly (BrokerFault | undefined)[]>;
  close(): Promise<void>;
}

export interface ReceiveOptions {
  /** At most this many; a broker may have a lower bound. */
  readonly limit: number;
  /** How long it waits for a first one. */
  readonly waitMs: number;
  /** Ends the wait. What comes at that very moment is delivered again later. */
  readonly signal: AbortSignal;
}

export interface Receiver {
  /** Throws a BrokerFault while the broker is away; the next call tries again. */
  receive(options: ReceiveOptions): Promise<readonly IncomingMessage[]>;
  /** They are done with. Throws a BrokerFault: they may be delivered again. */
  ack(messages: readonly IncomingMessage[]): Promise<void>;
  /** They are delivered again at once, perhaps to another receiver. */
  giveBack(messages: readonly IncomingMessage[]): Promise<void>;
  /** How many messages wait that nobody has acknowledged; about so many on SQS. */
  backlog(): Promise<number>;
  close(): Promise<void>;
}

/** A broker did not do what it was asked for. */
export class BrokerFault extends Error {
  override readonly name = "BrokerFault";
  /** To try again is in vain until somebody changes something: a permission, a name, a size. */
  readonly permanent: boolean;

  constructor(message: string, options: { readonly permanent: boolean; readonly cause?: unknown }) {
    super(message, { cause: options.cause });
    this.permanent = options.permanent;
  }
}
