/** SQS in the regions that addresses name, at one endpoint where one is set. */
import type { AwsCallOptions } from "../../aws/client.ts";
import { AwsClient } from "../../aws/client.ts";
import { findCredentials } from "../../aws/credentials.ts";
import { AwsFault, isUnsigned } from "../../aws/faults.ts";
import { findRegion } from "../../aws/region.ts";
import type { Clock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { BrokerFault } from "../message.ts";

interface SqsServiceOptions {
  readonly clock: Clock;
  /** Absent: as AWS_ENDPOINT_URL_SQS or AWS_ENDPOINT_URL say, or that of AWS. */
  readonly endpoint?: string;
  /** Absent: as the environment, the profile or the instance says. */
  readonly region?: string;
}

/** Whoever sets an endpoint and no region has a service that has none. */
const regionOfEndpoint = "us-east-1";
const regionOfUrl = /^https:\/\/sqs\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?\//;

/** What no repeat mends. */
const permanentCodes =
  /AccessDenied|NotAuthorized|InvalidAddress|InvalidMessage|UnsupportedOperation|TooLong|InvalidParameter|InvalidAttribute|Missing|NonExistentQueue|QueueDoesNotExist|QueueDeletedRecently|QueueNameExists/;

export class SqsService {
  readonly #options: SqsServiceOptions;
  readonly #clients = new Map<string, Promise<AwsClient>>();

  constructor(options: SqsServiceOptions) {
    const { AWS_ENDPOINT_URL_SQS: own, AWS_ENDPOINT_URL: all } = process.env;
    const endpoint = options.endpoint ?? (own || all || undefined);
    this.#options = { ...options, ...defined({ endpoint }) };
  }

  /**
   * Whether a queue URL is one that this server may call: of AWS, or at the endpoint that is set.
   */
  mayCall(url: string): boolean {
    if (regionOfUrl.test(url)) return true;
    const { endpoint } = this.#options;
    return endpoint !== undefined && new URL(endpoint).origin === new URL(url).origin;
  }

  /** Throws a BrokerFault. */
  async call<Answer extends object>(
    at: { readonly url?: string; readonly region?: string },
    operation: string,
    request: object,
    options: AwsCallOptions,
  ): Promise<Answer> {
    try {
      const region = at.region ?? regionOfUrl.exec(at.url ?? "")?.[1];
      const client = await this.#client(region ?? "");
      return await client.call<Answer>(operation, request, options);
    } catch (error) {
      throw sqsFault(error);
    }
  }

  #client(region: string): Promise<AwsClient> {
    const known = this.#clients.get(region) ?? this.#make(region);
    this.#clients.set(region, known);
    known.catch(() => this.#clients.delete(region));
    return known;
  }

  async #make(named: string): Promise<AwsClient> {
    const { clock, endpoint } = this.#options;
    const known = named || this.#options.region || (endpoint && regionOfEndpoint);
    const region = known || (await findRegion());
    if (region === undefined) {
      throw new BrokerFault("SQS: no region is known. Set AWS_REGION.", { permanent: true });
    }
    const credentials = findCredentials(clock);
    return new AwsClient({ service: "sqs", region, credentials, clock, ...defined({ endpoint }) });
  }
}

export function sqsFault(error: unknown): BrokerFault {
  if (error instanceof BrokerFault) return error;
  const { message } = error as Error;
  const permanent =
    error instanceof AwsFault && (permanentCodes.test(error.code) || isUnsigned(error));
  return new BrokerFault(`SQS: ${message}`, { permanent, cause: error });
}

/** They may come later, to a server that runs. */
export function isWithoutCredentials({ cause }: BrokerFault): boolean {
  return cause instanceof AwsFault && cause.code === "CredentialsNotFound";
}

/** Whether a fault says that there is no such queue. */
export function isMissingQueue({ cause }: BrokerFault): boolean {
  return cause instanceof AwsFault && /NonExistentQueue|QueueDoesNotExist/.test(cause.code);
}

/** The same, which names the queue and says what to do. */
export function missingQueue(
  name: string,
  region: string | undefined,
  { cause }: BrokerFault,
): BrokerFault {
  const place = region === undefined ? "" : ` in ${region}`;
  const message = `SQS has no queue ${name}${place}. Create it, or name its region.`;
  return new BrokerFault(message, { permanent: true, cause });
}
