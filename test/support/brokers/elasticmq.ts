/**
 * SQS as ElasticMQ imitates it, which refuses what SQS refuses: on a free port of loopback, in
 * memory, stopped by its process id.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installMaven, TestProgram } from "../installed.ts";
import { freePort } from "../ports.ts";
import { untilListening } from "./listening.ts";

const version = "1.7.1";

export interface Elasticmq {
  readonly port: number;
  readonly endpoint: string;
  stop(): Promise<void>;
}

const program = new TestProgram(() =>
  installMaven("org.elasticmq", "elasticmq-server_2.13", version),
);

/** Why it cannot be started here; undefined when it can. Installs it where it is missing. */
export function elasticmqMissing(): Promise<string | undefined> {
  return program.missing();
}

/** `port`: of one that was stopped, in whose place it comes, with nothing in it. */
export async function startElasticmq(port = freePort()): Promise<Elasticmq> {
  const folder = await program.folder();
  const home = mkdtempSync(join(tmpdir(), "orchy-elasticmq-"));
  const settings = join(home, "elasticmq.conf");
  writeFileSync(
    settings,
    [
      'include classpath("application.conf")',
      `node-address { protocol = http, host = "127.0.0.1", port = ${port}, context-path = "" }`,
      `rest-sqs { enabled = true, bind-hostname = "127.0.0.1", bind-port = ${port} }`,
      "rest-sqs.sqs-limits = strict",
      "rest-stats.enabled = false",
    ].join("\n"),
  );
  const log = Bun.file(join(home, "log"));
  const flags = ["-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
  const path = ["-cp", join(folder, "*"), `-Dconfig.file=${settings}`];
  const child = Bun.spawn(["java", ...flags, ...path, "org.elasticmq.server.Main"], {
    stdin: "ignore",
    stdout: log,
    stderr: log,
  });
  const endpoint = `http://127.0.0.1:${port}`;
  const isReady = async () => (await fetch(`${endpoint}/?Action=ListQueues`)).ok;
  await untilListening("ElasticMQ", child, { isReady, log });
  return {
    port,
    endpoint,
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(home, { recursive: true, force: true });
    },
  };
}
