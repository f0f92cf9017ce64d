/** Values of an execution's data over `/v1`, whole or in ranges. */
import * as v from "valibot";
import * as requests from "../schemas.ts";
import { type Answer, type Route, route } from "./route.ts";

const type = "application/json";

export const dataRoutes: readonly Route[] = [
  route("GET /v1/executions/{id}/data/{path}", {
    id: "getExecutionData",
    tag: "Executions",
    summary: "One value of the data, whole or a range of its bytes",
    description:
      "The value that a reference in a template would find: the input, the output of an action, or a part of either. " +
      "With the header Range, 206 and those bytes, and 416 beyond the end.",
    params: { id: requests.executionIdSchema, path: requests.dataPathSchema },
    headers: { range: v.optional(requests.rangeSchema) },
    responses: { 200: v.unknown(), 206: type, 416: v.unknown() },
    errors: ["NOT_FOUND", "DELETED", "TOO_LARGE"],
    async handle({ params, headers, services, signal }) {
      const text = await services.orchestrator.readData(params.id, params.path, signal);
      return part(Buffer.from(text), headers.get("range"));
    },
  }),
];

function part(bytes: Buffer<ArrayBuffer>, range: string | null): Answer {
  const accepts = { "accept-ranges": "bytes" };
  const asked = rangeOf(range, bytes.length);
  if (asked === undefined) return { status: 200, text: { type, body: bytes }, headers: accepts };
  const [first, last] = asked;
  if (first > last) {
    const message = `The value has ${bytes.length} bytes: no byte of it is in the range.`;
    const error = { code: "INVALID_ARGUMENT", message, details: [] };
    const headers = { ...accepts, "content-range": `bytes */${bytes.length}` };
    return { status: 416, json: { error }, headers };
  }
  const headers = { ...accepts, "content-range": `bytes ${first}-${last}/${bytes.length}` };
  return { status: 206, text: { type, body: bytes.subarray(first, last + 1) }, headers };
}

/** First and last byte of a single range; undefined: the whole, as for headers that mean nothing. */
function rangeOf(range: string | null, length: number): readonly [number, number] | undefined {
  const [, from = "", to = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(range ?? "") ?? [];
  if (from === "") return to === "" ? undefined : [Math.max(0, length - Number(to)), length - 1];
  if (to !== "" && Number(to) < Number(from)) return undefined;
  return [Number(from), Math.min(to === "" ? length - 1 : Number(to), length - 1)];
}
