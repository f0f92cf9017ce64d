/**
 * Credentials as every tool of AWS finds them: environment, profile (with SSO and processes), web
 * identity, container, instance metadata. What is in the environment needs no library.
 */
import type { Clock } from "../base/clock.ts";
import { defined } from "../base/defined.ts";
import type { AwsCredentials } from "./signing.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface CredentialSource {
  /** Valid now; at once where they are known. Throws an Error of one sentence when there are none. */
  current(): AwsCredentials | Promise<AwsCredentials>;
  /** The service refused these: the next are to be fetched anew. */
  refused(credentials: AwsCredentials): void;
}

/** Time before their end from which new ones are sought. */
const refreshMs = 5 * 60_000;
/** Between two attempts to do so, while the old ones are valid. */
const retryMs = 10_000;

export function findCredentials(clock: Clock, env: Environment = process.env): CredentialSource {
  return new Refreshed(clock, fromEnvironment(env) ?? fromChain);
}

type Load = () => Promise<AwsCredentials>;

/** Undefined: a profile is named, which comes before them, or there are none. */
function fromEnvironment(env: Environment): Load | undefined {
  const accessKeyId = env.AWS_ACCESS_KEY_ID;
  const secretAccessKey = env.AWS_SECRET_ACCESS_KEY;
  if (env.AWS_PROFILE || !accessKeyId || !secretAccessKey) return undefined;
  const sessionToken = env.AWS_SESSION_TOKEN || undefined;
  const found = { accessKeyId, secretAccessKey, ...defined({ sessionToken }) };
  return async () => found;
}

/** The official chain: what it finds must be what all other tools find. */
async function fromChain(): Promise<AwsCredentials> {
  const { defaultProvider } = await import("@aws-sdk/credential-provider-node");
  // Each has a memory of its own, which would return what was refused.
  const found = await defaultProvider()().catch((error: Error) => {
    const message =
      "No AWS credentials were found in the environment, a profile, a web identity, a container or " +
      `the instance metadata: ${error.message}. Set AWS_PROFILE, or give this machine a role`;
    throw new Error(message, { cause: error });
  });
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = found;
  const expiresAt = expiration?.getTime();
  return { accessKeyId, secretAccessKey, ...defined({ sessionToken, expiresAt }) };
}

/** Fetches new ones before the old ones end, once for all who ask. */
export class Refreshed implements CredentialSource {
  readonly #clock: Clock;
  readonly #load: Load;
  #known: AwsCredentials | undefined;
  #loading: Promise<AwsCredentials> | undefined;
  #retryAt = 0;

  constructor(clock: Clock, load: Load) {
    this.#clock = clock;
    this.#load = load;
  }

  current(): AwsCredentials | Promise<AwsCredentials> {
    const known = this.#known;
    if (known === undefined) return this.#fetch();
    const { expiresAt } = known;
    if (expiresAt === undefined) return known;
    const now = this.#clock.now();
    if (now >= expiresAt) return this.#fetch();
    if (now >= expiresAt - refreshMs && now >= this.#retryAt) {
      this.#retryAt = now + retryMs;
      // A failure leaves the old ones, which are still valid.
      this.#fetch().catch(() => {});
    }
    return known;
  }

  refused(credentials: AwsCredentials): void {
    if (this.#known === credentials) this.#known = undefined;
  }

  #fetch(): Promise<AwsCredentials> {
    this.#loading ??= this.#load()
      .then((loaded) => {
        this.#known = loaded;
        return loaded;
      })
      .finally(() => {
        this.#loading = undefined;
      });
    return this.#loading;
  }
}
