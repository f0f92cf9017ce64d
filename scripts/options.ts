/** The flags of the scripts: described once, for the parser and for `--help`. */
import { type ParseArgsOptionDescriptor, parseArgs } from "node:util";

type Options = Readonly<Record<string, ParseArgsOptionDescriptor & { readonly about: string }>>;

/**
 * The values of this script's flags. `--help` prints `about` and the flags, and ends the script; what
 * is wrong with the flags is said in one line and ends it with 2.
 */
export function readOptions<const T extends Options>(about: string, options: T) {
  if (process.argv.slice(2).some((one) => one === "--help" || one === "-h")) {
    console.log([about, "", ...Object.entries(options).map(describe)].join("\n"));
    process.exit(0);
  }
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
