/** Sources over `/v1`: topics and queues whose messages start executions, or are signals. */
import * as v from "valibot";
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import { plainNamePattern } from "../../model/names.ts";
import type { ParkedMessage, SourceDefinition } from "../../model/source.ts";
import type { SourceView } from "../../runtime/shared/source-service.ts";
import * as requests from "../schemas.ts";
import { moment } from "./json.ts";
import { type Route, route } from "./route.ts";
import * as schemas from "./source-schemas.ts";
import { pageView } from "./views.ts";

const tag = "Sources";
const namePath = { name: requests.nameSchema };
const parkedPath = { ...namePath, id: schemas.parkedIdSchema };

function sourceView({ name, definition, savedAt, status, ...rest }: SourceView) {
  const { error, ...counts } = status ?? {};
  const shown = status && {
    ...counts,
    ...defined({ error: error && { ...error, at: moment(error.at) } }),
  };
  return { name, ...definition, savedAt: moment(savedAt), ...rest, ...defined({ status: shown }) };
}

function parkedView({ parkedAt, message, ...rest }: ParkedMessage) {
  return {
    ...rest,
    parkedAt: moment(parkedAt),
    message: { ...message, sentAt: moment(message.sentAt) },
  };
}

function switchRoute(verb: "pause" | "resume", summary: string, description: string): Route {
  return route(`POST /v1/sources/{name}/${verb}`, {
    id: `${verb}Source`,
    tag,
    summary,
    description,
    params: namePath,
    responses: { 200: schemas.savedSourceSchema },
    errors: ["NOT_FOUND", "UNKNOWN_OUTCOME"],
    async handle({ params, services, audit }) {
      const { sources } = services.orchestrator;
      const { source, changed } = await sources.setPaused(params.name, verb === "pause");
      if (changed) audit(`source ${verb}d`, params.name);
      return { status: 200, json: sourceView(source) };
    },
  });
}

export const sourceRoutes: readonly Route[] = [
  route("PUT /v1/sources/{name}", {
    id: "saveSource",
    tag,
    summary: "Save a source",
    description:
      "Each message of a topic or queue starts one execution, or is one signal. One server at a time reads a source.",
    params: namePath,
    body: schemas.sourceSchema,
    bodyBytesMax: limits.controlBodyBytesMax,
    bodyExact: true,
    responses: { 200: schemas.savedSourceSchema },
    errors: ["DEFINITION_REFUSED", "TOO_MANY", "UNKNOWN_OUTCOME"],
    async handle({ params, body, services, audit }) {
      const definition = body as SourceDefinition;
      const { source, changed } = await services.orchestrator.sources.save(params.name, definition);
      if (changed) audit("source saved", params.name);
      return { status: 200, json: sourceView(source) };
    },
  }),
  route("GET /v1/sources", {
    id: "listSources",
    tag,
    summary: "List sources by name, with what the servers that read them say",
    description: "Their definitions, states, counts and lags, one page at a time.",
    query: {
      limit: requests.limitSchema,
      cursor: requests.cursorSchema((text) => plainNamePattern.test(text)),
    },
    responses: { 200: schemas.sourcesSchema },
    async handle({ query, services }) {
      const page = await services.orchestrator.sources.list(defined(query));
      return { status: 200, json: pageView(page, sourceView) };
    },
  }),
  route("GET /v1/sources/{name}", {
    id: "getSource",
    tag,
    summary: "Get a source: definition, state, counts and lag",
    description: "With which server reads it, and what went wrong last.",
    params: namePath,
    responses: { 200: schemas.savedSourceSchema },
    errors: ["NOT_FOUND"],
    async handle({ params, services }) {
      const source = await services.orchestrator.sources.get(params.name);
      return { status: 200, json: sourceView(source) };
    },
  }),
  route("DELETE /v1/sources/{name}", {
    id: "deleteSource",
    tag,
    summary: "Delete a source, and its parked messages",
    description: "No further message is taken; what it has started goes on.",
    params: namePath,
    responses: { 204: null },
    errors: ["NOT_FOUND", "UNKNOWN_OUTCOME"],
    async handle({ params, services, audit }) {
      await services.orchestrator.sources.delete(params.name);
      audit("source deleted", params.name);
      return { status: 204 };
    },
  }),
  switchRoute(
    "pause",
    "Pause a source",
    "Messages stay in the topic or queue until it is resumed; those that were taken are finished.",
  ),
  switchRoute(
    "resume",
    "Resume a paused source",
    "It goes on after the last acknowledged message.",
  ),
  route("GET /v1/sources/{name}/parked", {
    id: "listParkedMessages",
    tag,
    summary: "List messages that could not be handled",
    description:
      `Of a source without \`deadLetter\`, at most ${limits.parkedMessagesMax}, each with the reason. ` +
      "They are in no order that means anything.",
    params: namePath,
    query: {
      limit: requests.limitSchema,
      cursor: requests.cursorSchema((text) => v.is(schemas.parkedIdSchema, text)),
    },
    responses: { 200: schemas.parkedMessagesSchema },
    errors: ["NOT_FOUND"],
    async handle({ params, query, services }) {
      const page = await services.orchestrator.sources.parked(params.name, defined(query));
      return { status: 200, json: pageView(page, parkedView) };
    },
  }),
  route("DELETE /v1/sources/{name}/parked/{id}", {
    id: "deleteParkedMessage",
    tag,
    summary: "Delete a parked message",
    description: "It is gone: nobody else has it.",
    params: parkedPath,
    responses: { 204: null },
    errors: ["NOT_FOUND", "UNKNOWN_OUTCOME"],
    async handle({ params, services, audit }) {
      await services.orchestrator.sources.deleteParked(params.name, params.id);
      audit("parked message deleted", `${params.name} ${params.id}`);
      return { status: 204 };
    },
  }),
];
