/**
 * Every example in the documents runs, in its order: files are written, workers started, commands
 * sent to a server, and what they print is compared with what stands below them. docs/language.md
 * has a test of its own.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConfig } from "../../src/config/config.ts";
import {
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { type Document, documents, type Fence, root } from "./fences.ts";

// Several processes are started for each document.
setDefaultTimeout(60_000);

/** Not run: pictures, and text that is not a program. */
const shown = new Set(["mermaid", "text"]);
const python = Bun.which("python3");
const missing = ["bash", "curl", "sed"].filter((program) => Bun.which(program) === null);
if (missing.length > 0) console.log(`not here: ${missing.join(", ")}; examples are not run`);

class Session {
  readonly #document: Document;
  #server: TestServer;
  readonly #folder = mkdtempSync(join(tmpdir(), "orchy-documents-"));
  readonly #workers: Bun.Subprocess[] = [];
  readonly #shell: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #output: AsyncIterator<Uint8Array>;
  #printed = "";

  constructor(document: Document, server: TestServer) {
    this.#document = document;
    this.#server = server;
    const options = {
      cwd: this.#folder,
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    } as const;
    this.#shell = Bun.spawn(["bash"], options);
    this.#output = this.#shell.stdout[Symbol.asyncIterator]();
  }

  async run(fence: Fence): Promise<void> {
    const { language, text, file } = fence;
    if (shown.has(language)) return;
    if (file?.startsWith("test/interop/")) {
      // It has a test of its own.
      expect(text).toBe(readFileSync(join(root, file), "utf8"));
      return;
    }
    const isWorker = language === "ts" || language === "python" || text.includes("while true");
    if (isWorker || text.includes("/Poll")) await this.#replaceWorkers();
    const here = this.#reachable(text);
    if (language === "json" && this.#printed !== "") {
      expectPrinted(this.#printed, text);
      this.#printed = "";
    } else if (language === "json" && file !== undefined) {
      writeFileSync(join(this.#folder, file), text);
    } else if (language === "ts") {
      const program = here.replace(
        '"orchy/worker"',
        JSON.stringify(join(root, "src/worker/index.ts")),
      );
      await this.#work(this.#write(file ?? "worker.ts", program), process.execPath);
    } else if (language === "python") {
      if (python === null) console.log("there is no python3: its worker is not run");
      else await this.#work(this.#write("worker.py", here), python);
    } else if (language === "sh" && text.includes("while true")) {
      await this.#work(this.#write("worker.sh", here), "bash");
    } else if (language === "sh" && /^(?:\w+=\S+ )*npm /m.test(text)) {
      for (const line of text.trim().split("\n")) await this.#npm(line);
    } else if (language === "sh") {
      this.#printed = await this.#execute(here);
    } else {
      throw new Error(`line ${fence.line}: nothing here runs an example in "${language}"`);
    }
  }

  /** Of `old` and `new` servers the examples speak where one moves. */
  #reachable(text: string): string {
    const { host } = new URL(this.#server.url);
    return text.replaceAll(/\b(?:localhost|old|new):8080\b/g, host);
  }

  #write(name: string, text: string): string {
    const path = join(this.#folder, name);
    writeFileSync(path, text);
    return path;
  }

  /** Starts a worker, and lets it do one task of each of its actions. */
  async #work(path: string, interpreter: string): Promise<void> {
    // In a separate group: a shell leaves its curl behind.
    const options = {
      cwd: this.#folder,
      stdout: "ignore",
      stderr: "inherit",
      detached: true,
    } as const;
    this.#workers.push(Bun.spawn([interpreter, path], options));
    const text = await Bun.file(path).text();
    const names = /action\(\s*"([^"]+)"|actions = \{"([^"]+)"|"actions":\["([^"]+)"/g;
    const actions = [...text.matchAll(names)].map((match) => match[1] ?? match[2] ?? match[3]!);
    expect(actions.length).toBeGreaterThan(0);
    for (const action of actions) {
      await saveWorkflow(this.#server, {
        name: "one-action",
        rootAction: 1,
        actions: [{ id: 1, type: "user", name: action, parameters: "$.input" }],
      });
      const input = { name: "Ann", amount: 5 };
      const id = await startExecution(this.#server, "one-action", input);
      const { status, result } = await untilEnded(this.#server, id);
      expect([action, status]).toEqual([action, "COMPLETED"]);
      if (action === "greet") expect(result).toBe("Hello, Ann!");
    }
  }

  /** What it prints on standard output. */
  async #execute(commands: string): Promise<string> {
    const end = `end-of-commands-${crypto.randomUUID()}`;
    this.#shell.stdin.write(`${commands}\necho ${end} $?\n`);
    this.#shell.stdin.flush();
    let printed = "";
    const decoder = new TextDecoder();
    while (!printed.includes(end)) {
      const { value, done } = await this.#output.next();
      if (done) throw new Error(`the shell ended: ${printed}`);
      printed += decoder.decode(value, { stream: true });
    }
    expect(printed).toContain(`${end} 0`);
    return printed.slice(0, printed.indexOf(end)).trim();
  }

  async #npm(line: string): Promise<void> {
    const [command = ""] = line.split(/\s+#/);
    const words = command.split(/\s+/);
    const first = words.findIndex((word) => !word.includes("="));
    const environment = Object.fromEntries(words.slice(0, first).map((word) => word.split("=")));
    const [, , script, , ...args] = words.slice(first);
    if (script === "server") {
      if (args.includes("--help") || args.includes("--version")) return;
      expect(parseConfig(args, environment)).toMatchObject({ ok: true });
    } else if (script === "keys") {
      await this.#keys(args);
    } else if (script === "backup") {
      await this.#keys(["create", "--name", "me", "--scopes", "admin"]);
      await this.#backup(args);
    }
  }

  /** At a separate store, as no server listens at the port. */
  async #keys(args: readonly string[]): Promise<void> {
    const command = [process.execPath, join(root, "src/main.ts"), "keys", ...args];
    const env = { ORCHY_HTTP_PORT: "1" };
    const child = Bun.spawn(command, { cwd: this.#folder, env, stdout: "pipe", stderr: "pipe" });
    const [told, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
    // The id in the document is made up.
    if (args[0] === "revoke") expect(told).toContain("There is no key");
    else expect([told, code]).toEqual([expect.any(String), 0]);
  }

  async #backup(paths: readonly string[]): Promise<void> {
    const command = [process.execPath, join(root, "scripts/backup.ts"), ...paths];
    const child = Bun.spawn(command, { cwd: this.#folder, stdout: "pipe", stderr: "inherit" });
    expect(await new Response(child.stdout).text()).toContain("is copied to");
  }

  /**
   * A poll of a worker that was killed may still get a task: what follows has a separate server.
   */
  async #replaceWorkers(): Promise<void> {
    if (this.#workers.length === 0) return;
    this.#killWorkers();
    await this.#server.remove();
    this.#server = await open(this.#document);
  }

  #killWorkers(): void {
    for (const { pid } of this.#workers.splice(0)) process.kill(-pid, "SIGKILL");
  }

  async end(): Promise<void> {
    this.#killWorkers();
    this.#shell.kill();
    await this.#server.remove();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** One value, or one in each line. */
function expectPrinted(printed: string, expected: string): void {
  const wanted = isJson(expected) ? [JSON.parse(expected)] : linesOf(expected);
  const found = linesOf(printed);
  expect(found.map((value, index) => asFarAs(value, wanted[index]))).toEqual(wanted);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function linesOf(text: string): unknown[] {
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line));
}

/** What is expected, where it differs only by what `…` leaves out. */
function asFarAs(found: unknown, wanted: unknown): unknown {
  if (typeof found === "string" && typeof wanted === "string" && wanted.includes("…")) {
    const parts = wanted.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    // An id of which only the beginning is shown differs from run to run.
    const isId = /^[0-9a-f]{8}-[0-9a-f]{4}-…$/.test(wanted) && /^[0-9a-f-]{36}$/.test(found);
    return isId || new RegExp(`^${parts.join(".*")}$`).test(found) ? wanted : found;
  }
  if (typeof found !== "object" || typeof wanted !== "object" || !found || !wanted) return found;
  if (Array.isArray(found) && Array.isArray(wanted)) {
    const isCut = wanted.at(-1) === "…";
    const compared = isCut ? found.slice(0, wanted.length - 1) : found;
    const items = compared.map((item, index) => asFarAs(item, wanted[index]));
    return isCut ? [...items, "…"] : items;
  }
  const expected = wanted as Record<string, unknown>;
  const isCut = "…" in expected;
  const members = Object.entries(found)
    .filter(([name]) => !isCut || name in expected)
    .map(([name, value]) => [name, asFarAs(value, expected[name])]);
  return { ...Object.fromEntries(members), ...(isCut && { "…": expected["…"] }) };
}

/** A server with what is there before the examples of a document begin. */
async function open({ path }: Document): Promise<TestServer> {
  const server = await startTestServer({ store: "memory:" });
  const hello = {
    name: "hello",
    rootAction: "greet",
    actions: [{ id: "greet", type: "user", name: "greet", parameters: { name: "$.input.name" } }],
  };
  if (path === "docs/workers.md") await saveWorkflow(server, hello);
  if (path === "docs/go-server.md") {
    await saveWorkflow(server, { ...hello, name: "order" });
    await saveWorkflow(server, { ...hello, name: "refund" });
  }
  return server;
}

describe("the examples of", () => {
  for (const document of documents) {
    if (document.path === "docs/language.md" || document.fences.length === 0) continue;
    test.skipIf(missing.length > 0)(document.path, async () => {
      const session = new Session(document, await open(document));
      try {
        for (const fence of document.fences) await session.run(fence);
      } finally {
        await session.end();
      }
    });
  }
});
