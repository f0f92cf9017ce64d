/**
 * Signature Version 4 of AWS: a request carries a hash of itself, made with a secret that both ends
 * know. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** Milliseconds since the epoch; absent: they do not expire. */
  readonly expiresAt?: number;
}

interface SignedRequest {
  readonly method: string;
  /** Encoded; without a query. */
  readonly path: string;
  /** In order of name; names in lower case, values without spaces at their ends. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

const algorithm = "AWS4-HMAC-SHA256";

/** As in the header `x-amz-date`: 20150830T123600Z. */
export function amzDate(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace(/[-:]/g, "")}Z`;
}

/** Signs the requests to one service in one region. */
export class Signer {
  readonly #region: string;
  readonly #service: string;
  /** A key is good for a day; it is made anew where its secret or day differs. */
  #key: { readonly secret: string; readonly day: string; readonly value: Buffer } | undefined;

  constructor(region: string, service: string) {
    this.#region = region;
    this.#service = service;
  }

  /** The header `authorization`. */
  sign(request: SignedRequest, credentials: AwsCredentials, date: string): string {
    const { method, path, headers, body } = request;
    const day = date.slice(0, 8);
    const scope = `${day}/${this.#region}/${this.#service}/aws4_request`;
    let lines = "";
    let names = "";
    for (const [name, value] of headers) {
      lines += `${name}:${value}\n`;
      names += names === "" ? name : `;${name}`;
    }
    const canonical = `${method}\n${path}\n\n${lines}\n${names}\n${sha256(body)}`;
    const text = `${algorithm}\n${date}\n${scope}\n${sha256(canonical)}`;
    const key = this.#keyOf(credentials.secretAccessKey, day);
    const signature = hmac(key, text).toString("hex");
    const credential = `${credentials.accessKeyId}/${scope}`;
    return `${algorithm} Credential=${credential}, SignedHeaders=${names}, Signature=${signature}`;
  }

  #keyOf(secret: string, day: string): Buffer {
    if (this.#key?.secret !== secret || this.#key.day !== day) {
      const steps = [day, this.#region, this.#service, "aws4_request"];
      const first = Buffer.from(`AWS4${secret}`);
      this.#key = { secret, day, value: steps.reduce<Buffer>(hmac, first) };
    }
    return this.#key.value;
  }
}

function sha256(text: string): string {
  return Bun.CryptoHasher.hash("sha256", text, "hex");
}

function hmac(key: Buffer, text: string): Buffer {
  return new Bun.CryptoHasher("sha256", key).update(text).digest();
}
