/** Workflow and action definitions over `/v1`. */

import * as v from "valibot";
import { defined } from "../../base/defined.ts";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { Orchestrator, Page } from "../../runtime/shared/orchestrator.ts";
import * as requests from "../schemas.ts";
import { moment } from "./json.ts";
import * as responses from "./response-schemas.ts";
import { type Route, route, type Schema, type Tag } from "./route.ts";
import { actionStatsView, pageView, workflowSummaryView, workflowView } from "./views.ts";

const namePath = { name: requests.nameSchema };
const actionPath = { name: requests.actionNameSchema };
const byVersion = {
  limit: requests.limitSchema,
  cursor: requests.cursorSchema((text) => /^\d{1,10}$/.test(text)),
};

export const definitionBody = {
  body: requests.definitionSchema,
  bodyBytesMax: limits.definitionBytesMax,
  bodyPartsMax: limits.definitionPartsMax,
  bodyExact: true,
  errors: ["DEFINITION_REFUSED"],
} as const;

interface NamedList<Item> {
  readonly id: string;
  readonly tag: Tag;
  readonly summary: string;
  readonly description: string;
  /** Of what is listed: the cursor is one of them. */
  readonly name: Schema;
  readonly answer: Schema;
  readonly list: (
    orchestrator: Orchestrator,
    page: { limit: number; cursor?: string },
  ) => Promise<Page<Item>>;
  readonly view: (item: Item) => unknown;
}

/** A list in order of its names; the cursor is the last one shown. */
function listRoute<Item>(at: `GET /${string}`, named: NamedList<Item>): Route {
  const { name, answer, list, view, ...documented } = named;
  return route(at, {
    ...documented,
    query: {
      limit: requests.limitSchema,
      cursor: requests.cursorSchema((text) => v.is(name, text)),
    },
    responses: { 200: answer },
    async handle({ query, services }) {
      const page = await list(services.orchestrator, defined(query));
      return { status: 200, json: pageView(page, view) };
    },
  });
}

export const workflowRoutes: readonly Route[] = [
  route("POST /v1/workflows", {
    id: "saveWorkflow",
    tag: "Workflows",
    summary: "Save a workflow; a definition equal to the newest version changes nothing",
    description:
      "Checks a definition and saves it as the newest version of its name. Running executions stay on their version.",
    ...definitionBody,
    responses: { 200: responses.savedWorkflowSchema, 201: responses.savedWorkflowSchema },
    async handle({ body, services, audit }) {
      const saved = await services.orchestrator.saveWorkflow(body, { lenient: false });
      if (saved.created) audit("workflow saved", `${saved.name} version ${saved.version}`);
      return { status: saved.created ? 201 : 200, json: saved };
    },
  }),
  route("POST /v1/workflows/validate", {
    id: "validateWorkflow",
    tag: "Workflows",
    summary: "Validate a definition without saving it",
    description:
      "Returns the warnings that saving would return, or the same refusal with every problem.",
    access: "read",
    ...definitionBody,
    responses: { 200: responses.validatedSchema },
    async handle({ body, services }) {
      const { warnings } = await services.orchestrator.validateWorkflow(body);
      return { status: 200, json: { valid: true, warnings } };
    },
  }),
  listRoute("GET /v1/workflows", {
    id: "listWorkflows",
    tag: "Workflows",
    description: "Sorted by name, one page at a time.",
    summary: "List workflows with their newest versions, without definitions",
    name: requests.nameSchema,
    answer: responses.workflowsSchema,
    list: (orchestrator, page) => orchestrator.listWorkflows(page),
    view: workflowSummaryView,
  }),
  route("GET /v1/workflows/{name}", {
    id: "getWorkflow",
    tag: "Workflows",
    summary: "Get the newest version of a workflow, or a given one",
    description:
      "The definition as it was saved, with its version and the time; without `version` the newest.",
    params: namePath,
    query: { version: v.optional(requests.versionSchema) },
    responses: { 200: responses.workflowSchema },
    errors: ["NOT_FOUND", "DELETED"],
    async handle({ params, query, services }) {
      const workflow = await services.orchestrator.getWorkflow(params.name, query.version);
      return { status: 200, json: workflowView(workflow) };
    },
  }),
  route("GET /v1/workflows/{name}/versions", {
    id: "listWorkflowVersions",
    tag: "Workflows",
    summary: "List the versions of a workflow, newest first",
    description: "Version numbers with their times, without definitions.",
    params: namePath,
    query: byVersion,
    responses: { 200: responses.versionsSchema },
    errors: ["NOT_FOUND"],
    async handle({ params, query, services }) {
      const page = await services.orchestrator.listVersions(params.name, defined(query));
      const view = (one: { version: number; savedAt: number }) => ({
        version: one.version,
        savedAt: moment(one.savedAt),
      });
      return { status: 200, json: pageView(page, view) };
    },
  }),
  route("DELETE /v1/workflows/{name}", {
    id: "deleteWorkflow",
    tag: "Workflows",
    summary: "Delete a workflow: no new starts; running executions go on",
    description: "New starts return 404. Running executions go on to their end.",
    params: namePath,
    responses: { 204: null },
    errors: ["NOT_FOUND"],
    async handle({ params, services, audit }) {
      await services.orchestrator.deleteWorkflow(params.name);
      audit("workflow deleted", params.name);
      return { status: 204 };
    },
  }),
];

export const actionRoutes: readonly Route[] = [
  route("PUT /v1/actions/{name}", {
    id: "saveAction",
    tag: "Actions",
    summary: "Save the rules of a user action",
    description:
      "Sets retries, timeouts and concurrency of a user action for all workflows that do not set their own.",
    params: actionPath,
    body: requests.actionDefinitionSchema,
    bodyBytesMax: limits.controlBodyBytesMax,
    responses: { 200: responses.actionSchema },
    errors: ["DEFINITION_REFUSED"],
    async handle({ params, body, services, audit }) {
      const sent = Object.hasOwn(body, "name") ? body.name : params.name;
      if (sent !== params.name) {
        const message = `It must be left out, or be ${params.name} as in the path.`;
        throw new OrchyError("INVALID_ARGUMENT", "The body is invalid.", [
          { pointer: "/name", message },
        ]);
      }
      const definition = { ...body, name: params.name };
      const saved = await services.orchestrator.saveAction(definition, { lenient: false });
      if (saved.changed) audit("action saved", params.name);
      return { status: 200, json: saved.definition };
    },
  }),
  listRoute("GET /v1/actions", {
    id: "listActions",
    tag: "Actions",
    description:
      "Rules of each registered action, and each other one that has tasks: how many wait and run, and which workers poll, by queue.",
    summary: "List actions with their tasks and workers, by name",
    name: requests.actionNameSchema,
    answer: responses.actionsSchema,
    list: (orchestrator, page) => orchestrator.listActions(page),
    view: actionStatsView,
  }),
  route("GET /v1/actions/{name}", {
    id: "getAction",
    tag: "Actions",
    summary: "Get an action with its queued and running tasks",
    description:
      "Its rules, and in each queue the number of its queued and running tasks and of the workers that poll.",
    params: actionPath,
    responses: { 200: responses.actionStatsSchema },
    errors: ["NOT_FOUND"],
    async handle({ params, services }) {
      const stats = await services.orchestrator.getAction(params.name);
      return { status: 200, json: actionStatsView(stats) };
    },
  }),
];
