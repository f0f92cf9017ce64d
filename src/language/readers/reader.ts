/**
 * What a reader is: a check of one value, and the JSON Schema that says the same to an editor. The
 * schema is never stricter than the check; it cannot say everything.
 */
import type { Json } from "../../model/json.ts";
import type { Report } from "./report.ts";

/** A JSON Schema of draft 2020-12, without `true` and `false`, which not all tools take. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** Returns the value in the form that the engine uses, or reports what is wrong with it. */
export type Read = (value: unknown, pointer: string, report: Report) => Json | undefined;

export interface Reader extends Read {
  readonly schema: JsonSchema;
}

/** A Map: names such as `constructor` are then no fields. */
export type Fields = ReadonlyMap<string, Read>;

/** The description is what an editor shows. */
export type FieldList = readonly (readonly [name: string, reader: Reader, description: string])[];

export function reader(schema: JsonSchema, read: Read): Reader {
  return Object.assign(
    (value: unknown, pointer: string, report: Report) => read(value, pointer, report),
    { schema },
  );
}

export function fieldMap(list: FieldList): Map<string, Read> {
  return new Map(list.map(([name, read]) => [name, read]));
}

/** The `properties` of a schema. */
export function propertiesOf(list: FieldList): Record<string, JsonSchema> {
  return Object.fromEntries(
    list.map(([name, { schema }, description]) => [name, { ...schema, description }]),
  );
}

/** Some words in any letter case: as listed for completion, else by a pattern. */
export function anyCase(words: readonly string[]) {
  const type = "string";
  return {
    anyOf: [
      { type, enum: words },
      { type, pattern: anyCasePattern(words) },
    ],
  };
}

/** Patterns of JSON Schema have no flags. */
export function anyCasePattern(words: readonly string[]): string {
  const either = words.map((word) =>
    word.replace(/[a-z]/gi, (letter) => `[${letter.toUpperCase()}${letter.toLowerCase()}]`),
  );
  return `^(?:${either.join("|")})$`;
}
