/** Refusals and faults as responses: one form for `/v1`, one for the legacy routes. */
import { defined } from "../../base/defined.ts";
import { errorKinds, OrchyError } from "../../base/errors.ts";
import { asError } from "../../telemetry/log.ts";
import type { Answer, Services, Style } from "./route.ts";

/** What the caller may know of anything thrown. A fault's own words stay in the log. */
export function toOrchyError(error: unknown, services: Pick<Services, "ids" | "log">): OrchyError {
  if (error instanceof OrchyError) return error;
  const reference = services.ids.nonce();
  services.log.error("a request failed", { reference, error: asError(error) });
  return new OrchyError("INTERNAL", errorKinds.INTERNAL.sentence, [], { reference });
}

/** Seconds after which a repeat makes sense, for codes where one does. */
function retryAfter(status: number): string | undefined {
  if (status === 429) return "5";
  return status === 503 ? "1" : undefined;
}

export function errorAnswer(error: OrchyError, style: Style): Answer {
  const { status } = errorKinds[error.code];
  const seconds = retryAfter(status);
  // For browsers and tools that would otherwise not know what to send.
  const authenticate = status === 401 ? 'Bearer realm="orchy"' : undefined;
  const accepted = error.extra.acceptEncoding;
  const allow = error.code === "METHOD_NOT_ALLOWED" ? String(error.extra.allow) : undefined;
  return {
    status,
    json: style === "v1" ? { error: body(error) } : { error: sentence(error) },
    headers: {
      ...defined({
        "retry-after": seconds,
        "www-authenticate": authenticate,
        allow,
        "accept-encoding": accepted === undefined ? undefined : String(accepted),
      }),
    },
  };
}

function body(error: OrchyError): unknown {
  const { code, message, details, extra } = error;
  return { code, message, details, ...extra };
}

/** The legacy form has room for text alone, so the details go into it. */
function sentence(error: OrchyError): string {
  const details = error.details.map(({ pointer, message }) =>
    pointer ? `${pointer}: ${message}` : message,
  );
  return [error.message, ...details].join(" ");
}
