/**
 * `bun run server copy --from <store> --to <store>`: moves an installation to another kind of store, while
 * no server runs. The result is alone on standard output; progress goes to standard error.
 */
import { parseArgs } from "node:util";
import { systemClock } from "../base/clock.ts";
import { defined } from "../base/defined.ts";
import { readSecret } from "../config/settings.ts";
import { readClientTls } from "../config/tls.ts";
import { copyStore } from "../store/copy/copy.ts";
import { openStore } from "../store/open.ts";
import type { Store } from "../store/store.ts";

const help = `Usage: bun run server copy --from <store> --to <store>

Copies all that a namespace holds (definitions, keys, executions that wait, run or have ended) into an
empty store, while no server runs on either, and compares both. The source stays as it is. A copy that
was interrupted goes on when the command is repeated.

  --from, --to <address>    as --store of the server has it; @file where the address holds a password
  --partitions <count>      of the target; by default as the source has
  --namespace <name>        of both
  --to-namespace <name>     of the target, where it is another one
  --store-ca, --store-cert, --store-key <file>
                            for stores over TLS: whom to trust, and the certificate to show`;

const options = {
  from: { type: "string" },
  to: { type: "string" },
  partitions: { type: "string" },
  namespace: { type: "string" },
  "to-namespace": { type: "string" },
  "store-ca": { type: "string" },
  "store-cert": { type: "string" },
  "store-key": { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

type Flags = { readonly [Name in keyof typeof options]?: string | boolean };
type Environment = Readonly<Record<string, string | undefined>>;

/** Between two lines of progress. */
const progressMs = 1_000;

/** Its result ends the process. */
export async function runCopyCommand(argv: readonly string[], env: Environment): Promise<number> {
  try {
    const { values } = parseArgs({ args: [...argv], options });
    if (values.help) {
      console.log(help);
      return 0;
    }
    await copy(values, env);
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

async function copy(flags: Flags, env: Environment): Promise<void> {
  const [fromUrl, toUrl] = [addressOf("--from", flags.from), addressOf("--to", flags.to)];
  const namespace = String(flags.namespace ?? env.ORCHY_NAMESPACE ?? "orchy");
  const toNamespace = String(flags["to-namespace"] ?? namespace);
  if (fromUrl === toUrl && namespace === toNamespace) {
    throw new Error("--from and --to are the same store: nothing is to be copied.");
  }
  const tls = await readClientTls(
    defined({
      ca: textOf(flags["store-ca"]),
      cert: textOf(flags["store-cert"]),
      key: textOf(flags["store-key"]),
    }),
  );
  const from = await openStore(fromUrl, { namespace, tls });
  let to: Store | undefined;
  try {
    const partitions = flags.partitions === undefined ? from.partitions : Number(flags.partitions);
    if (!Number.isInteger(partitions) || partitions < 1) {
      throw new Error("--partitions must be a whole number from 1.");
    }
    to = await openStore(toUrl, { namespace: toNamespace, tls, partitions });
    const fromName = `${withoutSecrets(fromUrl)} (namespace ${namespace})`;
    const options = { from, to, fromName, clock: systemClock, onProgress: progressLines() };
    const { documents, executions } = await copyStore(options);
    console.log(
      `Copied and compared: ${documents} documents, ${executions} executions and ids of deleted ones. ` +
        `${withoutSecrets(toUrl)} has ${partitions} partitions; start servers with --store there.`,
    );
  } finally {
    await to?.close();
    await from.close();
  }
}

function textOf(given: string | boolean | undefined): string | undefined {
  return typeof given === "string" && given !== "" ? given : undefined;
}

function addressOf(flag: string, given: string | boolean | undefined): string {
  if (typeof given !== "string" || given === "") throw new Error(`${flag} is missing.\n${help}`);
  const read = readSecret(given);
  if ("problem" in read) throw new Error(`${flag}: ${read.problem}.`);
  if (/^memory:/.test(read.value)) {
    throw new Error(`${flag}: the store memory: exists only within its server.`);
  }
  return read.value;
}

/** Without names and passwords of users, and without what follows on the path. */
function withoutSecrets(url: string): string {
  return url.replace(/\/\/[^@/]*@/, "//").replace(/\?.*$/s, "");
}

function progressLines(): (line: string) => void {
  let shownAt = Number.NEGATIVE_INFINITY;
  return (line) => {
    const now = performance.now();
    if (now - shownAt < progressMs) return;
    shownAt = now;
    console.error(line);
  };
}
