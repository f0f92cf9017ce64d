/** Definitions of other systems, which are told from misspelt ones: they need more than a correction. */
import { isObject } from "../readers/fields.ts";

interface Language {
  readonly name: string;
  /** Members that together only its definitions have. */
  readonly members: readonly string[];
}

const languages: readonly Language[] = [
  { name: "Step Functions", members: ["StartAt", "States"] },
  { name: "Conductor", members: ["tasks", "schemaVersion"] },
  { name: "Serverless Workflow", members: ["specVersion", "states"] },
  { name: "Serverless Workflow", members: ["document", "do"] },
];

/** A sentence that names the language; undefined: it is not known to be another one. */
export function foreignDefinition(value: unknown): string | undefined {
  if (!isObject(value) || "actions" in value) return undefined;
  const hasTasks = Array.isArray(value.tasks) && value.tasks.some(isConductorTask);
  const found = hasTasks
    ? { name: "Conductor", members: ["tasks"] }
    : languages.find(({ members }) => members.every((member) => Object.hasOwn(value, member)));
  if (found === undefined) return undefined;
  const members = found.members.map((member) => JSON.stringify(member)).join(" and ");
  return (
    `This is a definition of ${found.name}, as ${members} shows; here a workflow has "rootAction" ` +
    'and "actions". Its tasks or states become actions, their transitions the routes in "next".'
  );
}

function isConductorTask(task: unknown): boolean {
  return isObject(task) && Object.hasOwn(task, "taskReferenceName");
}
