/**
 * A real browser, and a site of a stranger that it visits. Names that end in `.example` lead to this
 * machine, as names do whose owner points them there.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./ports.ts";

const program = Bun.which("chromium") ?? Bun.which("chromium-browser");

/** Why no browser can be started; undefined when one can. */
export const chromiumMissing =
  program === null ? "chromium is not installed: apt-get install chromium" : undefined;
if (chromiumMissing !== undefined) console.log(`skipped: pages in a browser: ${chromiumMissing}`);

const flags = [
  "--headless",
  // Tests run as root in containers, where the sandbox of the browser cannot be set up.
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-background-networking",
  "--no-first-run",
  "--host-resolver-rules=MAP *.example 127.0.0.1",
];

export interface Site {
  readonly port: number;
  /** Resolves when the browser has the page. */
  readonly visited: Promise<void>;
  /** What the page said by `report(value)`. */
  readonly reported: Promise<unknown>;
  /** Lets go of the port of the page; what it reports is still heard. */
  leave(): Promise<void>;
  stop(): Promise<void>;
}

/** Serves one page, whose script may `await` and ends with `report(value)`. */
export function serveSite(script: string): Site {
  const said = Promise.withResolvers<unknown>();
  const visited = Promise.withResolvers<void>();
  const reporter = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      said.resolve(await request.json());
      return new Response();
    },
  });
  const page = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<script type="module">
const report = (value) => fetch("http://reporter.example:${reporter.port}",
  { method: "POST", mode: "no-cors", body: JSON.stringify(value) });
try { ${script} } catch (error) { report({ failed: String(error) }); }
</script>`;
  const pages = Bun.serve({
    hostname: "127.0.0.1",
    port: freePort(),
    fetch() {
      visited.resolve();
      // A connection that is kept would outlive a change of the address behind the name.
      const headers = { "content-type": "text/html", connection: "close" };
      return new Response(page, { headers });
    },
  });
  return {
    port: pages.port!,
    visited: visited.promise,
    reported: said.promise,
    leave: () => pages.stop(),
    async stop() {
      await Promise.all([pages.stop(true), reporter.stop(true)]);
    },
  };
}

/** Opens a page; returns what closes the browser. */
export function visit(url: string): () => Promise<void> {
  const profile = mkdtempSync(join(tmpdir(), "orchy-chromium-"));
  const browser = Bun.spawn([program!, ...flags, `--user-data-dir=${profile}`, url], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  return async () => {
    // It tidies up after its other processes, which a kill would leave behind.
    browser.kill("SIGTERM");
    await browser.exited;
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
}
