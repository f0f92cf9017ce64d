/** Why an http action has no output, by the code that it fails with. */
import type { failureKinds } from "../base/errors.ts";

type HttpFaultCode = Extract<keyof typeof failureKinds, `HTTP_${string}`>;

export class HttpFault extends Error {
  override readonly name = "HttpFault";
  readonly code: HttpFaultCode;

  constructor(code: HttpFaultCode, message: string) {
    super(message);
    this.code = code;
  }
}
