/** The command line of the server, and the text of `--help`. */
import { parseArgs } from "node:util";
import { nearest } from "../base/nearest.ts";
import { type FlagName, flagNames, flags, isFlagName } from "./flags.ts";
import { insteadOfLegacyFlag } from "./legacy-flags.ts";

interface GivenFlags {
  readonly help: boolean;
  readonly version: boolean;
  readonly values: ReadonlyMap<FlagName, string>;
  readonly problems: readonly string[];
}

/** What the command line says, value by value still as text. */
export function readFlags(argv: readonly string[]): GivenFlags {
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries([
      ...flagNames.map((name) => [name, { type: flags[name].placeholder ? "string" : "boolean" }]),
      ["help", { type: "boolean", short: "h" }],
      ["version", { type: "boolean" }],
    ]),
  });
  const values = new Map<FlagName, string>();
  const problems: string[] = [];
  const asked = { help: false, version: false };
  // What follows an unknown flag is probably its value, and gets no separate sentence.
  let afterUnknown = false;
  for (const token of tokens) {
    const excused = afterUnknown && token.kind === "positional";
    afterUnknown = token.kind === "option" && !isFlagName(token.name);
    if (token.kind === "option-terminator" || excused) continue;
    if (token.kind === "positional") {
      problems.push(`${JSON.stringify(token.value)} is not a flag; flags begin with --.`);
    } else if (token.name === "help" || token.name === "version") {
      asked[token.name] = true;
    } else if (!isFlagName(token.name)) {
      problems.push(unknownFlag(token.rawName));
    } else if (values.has(token.name)) {
      problems.push(`--${token.name} is given twice.`);
    } else if (!flags[token.name].placeholder) {
      values.set(token.name, token.value ?? "true");
    } else if (token.value === undefined || (!token.inlineValue && token.value.startsWith("--"))) {
      problems.push(`--${token.name} needs a value.`);
    } else {
      values.set(token.name, token.value);
    }
  }
  return { ...asked, values, problems };
}

function unknownFlag(raw: string): string {
  const name = raw.replace(/^-+/, "");
  const instead = insteadOfLegacyFlag(name);
  if (instead !== undefined) return `${raw} is a flag of the Go server: ${instead}.`;
  const near = nearest(name, flagNames);
  return near !== undefined
    ? `Unknown flag ${raw}; did you mean --${near}?`
    : `Unknown flag ${raw}; --help lists the flags.`;
}

export function helpText(): string {
  const lines = flagNames.map((name) => {
    const { placeholder, default: preset, explanation } = flags[name];
    const shown = placeholder ? `--${name} <${placeholder}>` : `--${name}`;
    const byDefault = preset && placeholder ? ` [${preset}]` : "";
    return `  ${shown.padEnd(28)}${explanation}${byDefault}`;
  });
  return [
    "Usage: bun run server [flags]",
    "       bun run server keys create | list | revoke   (who may do what; keys --help)",
    "       bun run server copy --from <store> --to <store>   (to another store; copy --help)",
    "",
    ...lines,
    `  ${"--help".padEnd(28)}this text`,
    `  ${"--version".padEnd(28)}the version of this server`,
    "",
    "Each flag can also be set as an environment variable, ORCHY_HTTP_PORT for --http-port and so",
    "on; a flag wins over its variable. Flags show in the list of processes: give what is secret as",
    "@file or as a variable.",
  ].join("\n");
}
