/**
 * `bun run server`: reads the configuration, starts the server, stops it on a signal. `bun run
 * server keys …` and `… copy …` are separate commands.
 */
import { systemClock } from "./base/clock.ts";
import { limits } from "./base/limits.ts";
import { addressOf, type Config, parseConfig } from "./config/config.ts";
import { firstKeyNotice } from "./runtime/services/first-key.ts";
import { runKeysCommand } from "./server/keys-command.ts";
import { type RunningServer, startServer } from "./server/server.ts";
import { asError, createLogger, type Logger, writeLine } from "./telemetry/log.ts";

const sameSignalMs = 500;

async function main(): Promise<void> {
  const [command, ...rest] = process.argv.slice(2);
  if (command === "keys") process.exit(await runKeysCommand(rest, process.env));
  if (command === "copy") {
    const { runCopyCommand } = await import("./server/copy-command.ts");
    process.exit(await runCopyCommand(rest, process.env));
  }
  const parsed = parseConfig(process.argv.slice(2), process.env);
  if ("print" in parsed) return console.log(parsed.print);
  if (!parsed.ok) {
    console.error(parsed.problems.join("\n"));
    process.exit(2);
  }
  const { config } = parsed;
  const log = createLogger({ level: config.logLevel, clock: systemClock, write: writeLine });

  const server = await startServer(config).catch((error: unknown) => {
    console.error(`Orchy cannot start: ${error instanceof Error ? error.message : error}`);
    process.exit(1);
  });
  logAddresses(config, server, log);
  if (server.firstKeySecret !== undefined) console.error(firstKeyNotice(server.firstKeySecret));

  let stoppingSince: number | undefined;
  let exitCode = 0;
  async function stop(signal: string): Promise<void> {
    if (stoppingSince !== undefined) {
      // A second signal means: do not wait. A signal to a whole group of processes comes
      // twice as well, but at once: from the sender, and passed on by the parent.
      if (performance.now() - stoppingSince > sameSignalMs) process.exit(130);
      return;
    }
    stoppingSince = performance.now();
    log.info("stopping", { signal });
    // What is waited for, such as the end of a child process, need not keep this one alive.
    setInterval(() => {}, limits.sleepMsMax);
    try {
      await server.stop();
      log.info("stopped");
      exitAfterOutput(exitCode);
    } catch (error) {
      log.error("stopping failed", { error: asError(error) });
      exitAfterOutput(1);
    }
  }
  void server.outdated.then((reason) => {
    log.error("this server must not go on", { reason });
    exitCode = 1;
    return stop("outdated");
  });
  process.on("SIGTERM", () => void stop("SIGTERM"));
  process.on("SIGINT", () => void stop("SIGINT"));
}

/** Where it listens, and where workers are sent when that is not the same. */
function logAddresses(config: Config, server: RunningServer, log: Logger): void {
  const { host, legacy } = config;
  const { grpcAddress, legacyAddress } = server.self;
  const grpc = addressOf(host, server.grpcPort);
  if (legacy !== undefined) {
    const listening = addressOf(legacy.host, server.legacyPort!);
    log.info("legacy workers are served without TLS", {
      legacy: listening,
      ...(legacyAddress !== listening && { advertised: legacyAddress }),
    });
  } else if (config.tls !== undefined) {
    const otherwise = "--legacy-port";
    log.info("legacy workers speak no TLS, so they are not served", { otherwise });
  }
  log.info("Orchy is listening", {
    http: `${config.tls ? "https" : "http"}://${addressOf(host, server.httpPort)}`,
    grpc,
    ...(grpcAddress !== grpc && { advertised: grpcAddress }),
    store: config.store.kind,
    node: config.nodeName,
  });
}

/** An exit at once would lose the lines of the log that are not written yet. */
function exitAfterOutput(code: number): void {
  process.stdout.write("", () => process.exit(code));
}

await main();
