/**
 * The language as JSON Schema (draft 2020-12), made from the tables of fields that check definitions.
 * What spans actions, and whether references and scripts parse, only the checks know.
 */
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import { type Kind, kindList, kinds, systemKinds, systemNames } from "../kinds/table.ts";
import { conditionSchema } from "../readers/conditions.ts";
import { anyCase, anyCasePattern, type JsonSchema, propertiesOf } from "../readers/reader.ts";
import { inBothCases } from "../readers/user-rules.ts";
import { actionDefinitionFields } from "./action-definition.ts";
import { commonFields, defaultRouteSchema } from "./common-fields.ts";
import {
  inlineFields,
  inlineRequired,
  workflowFields,
  workflowRequired,
} from "./workflow-fields.ts";

const dialect = "https://json-schema.org/draft/2020-12/schema";

export const actionDefinitionSchema: JsonSchema = {
  description: "The rules of a user action, in camel or snake case.",
  type: "object",
  properties: inBothCases(propertiesOf(actionDefinitionFields)),
  required: ["name"],
  additionalProperties: false,
};

/** `Definition` is a workflow; the others are what it consists of. */
export function definitionSchemas(
  referenceTo: (name: string) => string,
): Readonly<Record<string, JsonSchema>> {
  const ofKinds = kindList.map((kind): [string, JsonSchema] => [nameOf(kind), kindSchema(kind)]);
  const schemas = {
    Definition: workflowDefinition("DefinedAction"),
    DefinedAction: definedAction((kind) => ({ $ref: nameOf(kind) })),
    Condition: conditionSchema,
    InlineDefinition: inlineDefinition("DefinedAction"),
    ...Object.fromEntries(ofKinds),
  };
  return withReferences(schemas, referenceTo) as typeof schemas;
}

/** Schemas refer to each other by their names alone, which stand for the places in a document. */
function withReferences(value: unknown, referenceTo: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => withReferences(item, referenceTo));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, member]): [string, unknown] => {
    const isName = name === "$ref" && typeof member === "string";
    return [name, isName ? referenceTo(member) : withReferences(member, referenceTo)];
  });
  return Object.fromEntries(entries);
}

/** The documents that editors read, by the last part of their paths. */
export function schemaDocument(of: "workflow" | "action"): JsonSchema {
  if (of === "action") return { $schema: dialect, title: "Action", ...actionDefinitionSchema };
  const { Definition, ...$defs } = definitionSchemas((name) => `#/$defs/${name}`);
  return { $schema: dialect, title: "Workflow", ...Definition, $defs };
}

function workflowDefinition(action: string): JsonSchema {
  return {
    description: "A workflow definition.",
    type: "object",
    properties: { ...propertiesOf(workflowFields), actions: actionsOf(action) },
    required: workflowRequired,
    additionalProperties: false,
  };
}

function inlineDefinition(action: string): JsonSchema {
  return {
    description: "Actions that run as a child execution of the action that holds them.",
    type: "object",
    properties: { ...propertiesOf(inlineFields), actions: actionsOf(action) },
    required: inlineRequired,
    additionalProperties: false,
  };
}

function actionsOf(action: string): JsonSchema {
  return {
    description: "The actions, each with id, type, name and the fields of its kind.",
    type: "array",
    items: { $ref: action },
    minItems: 1,
    maxItems: limits.definitionActionsMax,
  };
}

/** Conditions instead of `oneOf`, so that a validator reports an error at the field that is wrong. */
function definedAction(referenceTo: (kind: Kind) => JsonSchema): JsonSchema {
  const isSystem = member("type", ["system"]);
  const name = { ...anyCase(systemNames), description: "The kind of system action." };
  return {
    description: "An action of a workflow; type and name say which fields it has.",
    type: "object",
    properties: { ...propertiesOf(commonFields), ...everyKind },
    required: ["id", "type", "name"],
    allOf: [
      when(member("type", ["user"]), referenceTo("user")),
      when(isSystem, { properties: { name } }),
      ...systemKinds.map((kind) => {
        const isKind = member("name", [kind, ...(kinds[kind].aliases ?? [])]);
        return when({ allOf: [isSystem, isKind] }, referenceTo(kind));
      }),
    ],
  };
}

const everyKind = {
  name: {
    type: "string",
    description: "The name of a user action, or the kind of a system action.",
  },
  parameters: { description: "Template that is resolved when the action starts." },
};

function when(condition: JsonSchema, consequence: JsonSchema): JsonSchema {
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  return { if: condition, then: consequence };
}

/** Whether a field is one of some words. */
function member(field: string, words: readonly string[]): JsonSchema {
  const pattern = anyCasePattern(words);
  return { properties: { [field]: { type: "string", pattern } }, required: [field] };
}

function kindSchema(kind: Kind): JsonSchema {
  const { fields, required = [], either, routes } = kinds[kind];
  // `DefinedAction` describes what all actions have; here these names are only known.
  const shared = [...commonFields.map(([name]) => name), ...Object.keys(everyKind)];
  return {
    description: kind === "user" ? "A user action." : `A ${kind} action.`,
    type: "object",
    properties: {
      ...Object.fromEntries(shared.map((name) => [name, {}])),
      ...(routes === undefined && { next: defaultRouteSchema }),
      ...propertiesOf(fields),
    },
    ...(required.length > 0 && { required }),
    ...defined({
      oneOf: either?.map((field) => ({ required: [field] })),
    }),
    additionalProperties: false,
  };
}

function nameOf(kind: Kind): string {
  return `${kind.charAt(0).toUpperCase()}${kind.slice(1)}Action`;
}
