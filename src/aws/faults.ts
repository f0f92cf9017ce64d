/** What went wrong with a request to AWS, and whether it may have been applied all the same. */

export class AwsFault extends Error {
  override readonly name = "AwsFault";
  readonly outcome: "not_applied" | "unknown";
  /** As the service names it, or the code of a fault of the connection. */
  readonly code: string;
  /** The whole response: the item that a condition met, the reasons of a transaction. */
  readonly body: Readonly<Record<string, unknown>>;

  constructor(
    outcome: "not_applied" | "unknown",
    code: string,
    message: string,
    { body = {}, cause }: { body?: Readonly<Record<string, unknown>>; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.outcome = outcome;
    this.code = code;
    this.body = body;
  }

  /** The same, of a call of several attempts, one of which may have been applied. */
  asUnknown(): AwsFault {
    const { code, message, body } = this;
    return new AwsFault("unknown", code, message, { body, cause: this.cause });
  }
}

/** The service has too much to do, or another transaction was in the way. */
const throttled = new Set([
  "KmsThrottled",
  "OverLimit",
  "ProvisionedThroughputExceeded",
  "ProvisionedThroughputExceededException",
  "RequestLimitExceeded",
  "RequestThrottled",
  "RequestThrottledException",
  "SlowDown",
  "Throttling",
  "ThrottlingError",
  "ThrottlingException",
  "TooManyRequestsException",
  "TransactionConflict",
  "TransactionConflictException",
  "TransactionInProgressException",
]);

/** Other credentials may help, or another time: both are part of the signature. */
const unsigned = new Set([
  "ExpiredToken",
  "ExpiredTokenException",
  "InvalidClientTokenId",
  "InvalidSignatureException",
  "RequestExpired",
  "RequestInTheFuture",
  "RequestTimeTooSkewed",
  "SignatureDoesNotMatch",
  "UnrecognizedClientException",
]);

export function isThrottled({ code, body }: AwsFault): boolean {
  if (code !== "TransactionCanceledException") return throttled.has(code);
  const codes = reasonsOf(body).map((reason) => reason.Code ?? "None");
  return (
    codes.some((one) => throttled.has(one)) &&
    codes.every((one) => one === "None" || throttled.has(one))
  );
}

/** There is no connection. */
export function isUnreachable({ code }: AwsFault): boolean {
  return /^E[A-Z_]+$/.test(code);
}

export function isUnsigned({ code }: AwsFault): boolean {
  return unsigned.has(code);
}

/** Of a transaction that was cancelled: one for each item, in order. */
interface CancellationReason {
  readonly Code?: string;
  readonly Item?: unknown;
}

export function reasonsOf(body: AwsFault["body"]): readonly CancellationReason[] {
  const { CancellationReasons: reasons } = body;
  return Array.isArray(reasons) ? reasons : [];
}

/** From a response that is not a success. */
export function readFault(operation: string, status: number, text: string): AwsFault {
  const body = parseObject(text);
  const type = typeof body.__type === "string" ? body.__type : "";
  // "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", of some with ":http://…" after it.
  const code = type.slice(type.indexOf("#") + 1).split(":")[0] || `${status}`;
  const said = body.message ?? body.Message;
  const message = `${operation}: ${code}${typeof said === "string" && said !== "" ? `: ${said}` : ""}`;
  // A service that fails may have written before.
  const isUnknown = status >= 500 && !throttled.has(code);
  return new AwsFault(isUnknown ? "unknown" : "not_applied", code, message, { body });
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/** Nothing was sent: there was no connection, or not to the right one. */
const unsent =
  /^(?:ECONNREFUSED|ENOTFOUND|EAI_|ENETUNREACH|EHOSTUNREACH|.*CERT|ERR_TLS|ERR_INVALID_URL)/;

/** From what `fetch` throws. */
export function connectionFault(operation: string, error: unknown): AwsFault {
  const { code, name, message } = error as Error & { readonly code?: unknown };
  const named = typeof code === "string" ? code : name;
  const outcome = unsent.test(named) ? "not_applied" : "unknown";
  return new AwsFault(outcome, named, `${operation}: ${message}`, { cause: error });
}
