/** The flags of the scripts: described once, for the parser and for `--help`. */
import { type ParseArgsOptionDescriptor, parseArgs } from "node:util";

type Read = (text: string) => { readonly value: number } | { readonly problem: string };

interface Option extends ParseArgsOptionDescriptor {
  readonly about: string;
  /** Of a number: see config/settings.ts. */
  readonly read?: Read;
}
type Options = Readonly<Record<string, Option>>;

type Texts<T extends Options> = ReturnType<typeof parseArgs<{ options: T }>>["values"];
/** Without a default it may be absent. */
type Value<O, Text> = O extends { read: Read }
  ? O extends { default: string }
    ? number
    : number | undefined
  : Text;
type Values<T extends Options> = {
  [Name in keyof T]: Value<T[Name], Name extends keyof Texts<T> ? Texts<T>[Name] : never>;
};

/**
 * The values of this script's flags. `--help` prints `about` and the flags, and ends the script; what
 * is wrong with the flags is said in one line and ends it with 2.
 */
export function readOptions<const T extends Options>(about: string, options: T): Values<T> {
  if (process.argv.slice(2).some((one) => one === "--help" || one === "-h")) {
    console.log([about, "", ...Object.entries(options).map(describe)].join("\n"));
    process.exit(0);
  }
  const texts = readTexts(options);
  const values = Object.entries(options).map(([name, { read }]) => {
    const text = texts[name];
    if (read === undefined || typeof text !== "string") return [name, text];
    const answer = read(text);
    if ("problem" in answer) refuse(`--${name} ${JSON.stringify(text)}: ${answer.problem}.`);
    return [name, answer.value];
  });
  return Object.fromEntries(values) as Values<T>;
}

function readTexts(options: Options): Readonly<Record<string, unknown>> {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    refuse((error as Error).message);
  }
}

/** Ends the script, as it was not called rightly. */
export function refuse(reason: string): never {
  console.error(`${reason} (--help lists the flags.)`);
  process.exit(2);
}

function describe([name, { type, default: preset, about }]: [string, Options[string]]): string {
  const flag = type === "boolean" ? `--${name}` : `--${name} <value>`;
  const byDefault = typeof preset === "string" && preset !== "" ? ` [${preset}]` : "";
  return `  ${flag.padEnd(26)}${about}${byDefault}`;
}
