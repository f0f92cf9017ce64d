/** The one thing that a store throws. */

/** Thrown when the infrastructure fails, never for an expected outcome. */
export class StoreFault extends Error {
  override readonly name = "StoreFault";
  readonly outcome: "not_applied" | "unknown";
  /** `exhausted`: no room (disk full, memory limit); `unavailable`: anything else. */
  readonly reason: "unavailable" | "exhausted";

  constructor(
    outcome: "not_applied" | "unknown",
    message: string,
    options: { reason?: "unavailable" | "exhausted"; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.outcome = outcome;
    this.reason = options.reason ?? "unavailable";
  }
}

/** The outcome under which a call that threw this is counted. */
export function faultOutcome(error: unknown): string {
  return error instanceof StoreFault ? error.outcome : "error";
}
