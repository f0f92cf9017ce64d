/**
 * The client of a Kafka cluster. It is a package that is loaded when it is used for the first time:
 * a server without Kafka pays nothing for it.
 */
import { readFile } from "node:fs/promises";
import type { Admin, BaseOptions, ConnectionPool, Producer } from "@platformatic/kafka";
import { type Clock, systemClock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { BrokerFault } from "../message.ts";
import { readReference } from "../secret.ts";
import type { KafkaAddress } from "./address.ts";

type Library = typeof import("@platformatic/kafka");

/** Who waits for a broker that is away waits for so long in all. */
const requestMs = 5_000;
const connectMs = 3_000;
const retriesMax = 3;
const retryMs = 200;

export class KafkaClient {
  readonly address: KafkaAddress;
  readonly clock: Clock;
  #library: Promise<Library> | undefined;
  #options: Promise<BaseOptions> | undefined;
  #admin: Promise<Admin> | undefined;
  #producer: Promise<Producer<string, string, string, string>> | undefined;

  /** `clock`: by which records are dated. Kafka takes none that is an hour ahead of it. */
  constructor(address: KafkaAddress, clock: Clock = systemClock) {
    this.address = address;
    this.clock = clock;
  }

  library(): Promise<Library> {
    this.#library ??= import("@platformatic/kafka");
    return this.#library;
  }

  options(): Promise<BaseOptions> {
    this.#options ??= optionsOf(this.address);
    // A file that is missing may be there later.
    this.#options.catch(() => {
      this.#options = undefined;
    });
    return this.#options;
  }

  async producer() {
    this.#producer ??= Promise.all([this.library(), this.options()]).then(
      ([{ Producer, ProduceAcks, stringSerializers }, options]) =>
        guarded(
          new Producer({ ...options, serializers: stringSerializers, acks: ProduceAcks.ALL }),
        ),
    );
    this.#producer.catch(() => {
      this.#producer = undefined;
    });
    return this.#producer;
  }

  async #adminOf(): Promise<Admin> {
    this.#admin ??= Promise.all([this.library(), this.options()]).then(([{ Admin }, options]) =>
      guarded(new Admin(options)),
    );
    this.#admin.catch(() => {
      this.#admin = undefined;
    });
    return this.#admin;
  }

  /** Those that are missing are created; topics that are there stay as they are. */
  async ensureTopics(
    topics: readonly string[],
    create: { readonly partitions: number; readonly replicas: number },
  ): Promise<void> {
    const admin = await this.#adminOf();
    try {
      const there = new Set(await admin.listTopics());
      const missing = topics.filter((topic) => !there.has(topic));
      if (missing.length > 0) await admin.createTopics({ topics: [...missing], ...create });
    } catch (error) {
      // Another server was faster.
      if (!deepest(error).some(({ code }) => code === "TOPIC_ALREADY_EXISTS"))
        throw kafkaFault(error);
    }
  }

  async close(): Promise<void> {
    const clients = await Promise.allSettled([this.#admin, this.#producer]);
    for (const one of clients) {
      if (one.status === "fulfilled") await one.value?.close().catch(() => {});
    }
  }
}

/**
 * Whatever needs a connection learns from its own call that it failed. The event of it has a listener
 * of the library for the first time only; without one it would end the process.
 */
export function guarded<Client extends { readonly connections: ConnectionPool }>(
  client: Client,
): Client {
  client.connections.on("connecting", ({ connection }) => connection.on("error", () => {}));
  return client;
}

async function optionsOf({ brokers, tls, sasl }: KafkaAddress): Promise<BaseOptions> {
  const read = async (path: string | undefined) =>
    path === undefined ? undefined : await readFile(path, "utf8");
  const [ca, cert, key] = await Promise.all([tls?.ca, tls?.cert, tls?.key].map(read));
  const files = tls && defined({ ca, cert, key });
  return {
    clientId: "orchy",
    bootstrapBrokers: [...brokers],
    timeout: requestMs,
    requestTimeout: requestMs,
    connectTimeout: connectMs,
    retries: retriesMax,
    retryDelay: retryMs,
    autocreateTopics: false,
    ...defined({ tls: files }),
    ...(sasl && {
      sasl: {
        mechanism: sasl.mechanism,
        username: sasl.user,
        password: () => readReference(sasl.password),
      },
    }),
  };
}

/** Errors of the client hold errors, which hold more. Returns those at the ends: why it failed. */
function deepest(error: unknown): readonly { readonly code: string; readonly text: string }[] {
  const { errors, cause, apiId, code, message } = (error ?? {}) as {
    readonly errors?: readonly unknown[];
    readonly cause?: unknown;
    readonly apiId?: string;
    readonly code?: string;
    readonly message?: string;
  };
  const inner = [...(errors ?? []), ...(cause === undefined ? [] : [cause])];
  if (inner.length > 0) return inner.flatMap(deepest);
  return [{ code: apiId ?? code ?? "", text: message ?? String(error) }];
}

/** What no repeat mends, by the names that Kafka's protocol gives its errors. */
const permanentCodes = [
  "PLT_KFK_AUTHENTICATION",
  "SASL_AUTHENTICATION_FAILED",
  "UNSUPPORTED_SASL_MECHANISM",
  "TOPIC_AUTHORIZATION_FAILED",
  "GROUP_AUTHORIZATION_FAILED",
  "CLUSTER_AUTHORIZATION_FAILED",
  "INVALID_TOPIC_EXCEPTION",
  "MESSAGE_TOO_LARGE",
  "RECORD_LIST_TOO_LARGE",
];

/** What the client says of a topic that the cluster does not have. */
const missingTopic = /^Unknown topic (\S+)\.$/;

export function isMissingTopic({ cause }: BrokerFault): boolean {
  return missingTopic.test(deepest(cause).at(-1)!.text);
}

export function kafkaFault(error: unknown): BrokerFault {
  if (error instanceof BrokerFault) return error;
  const causes = deepest(error);
  const worst = causes.find(({ code }) => permanentCodes.includes(code));
  const { code, text } = worst ?? causes.at(-1)!;
  const how = { permanent: worst !== undefined, cause: error };
  const topic = missingTopic.exec(text)?.[1];
  if (topic !== undefined) return new BrokerFault(`Kafka has no topic ${topic}. Create it.`, how);
  const name = /^[A-Z_]+$/.test(code) && !code.startsWith("PLT_") ? `${code}: ` : "";
  return new BrokerFault(`Kafka: ${name}${text}`, how);
}
