/**
 * Makes dist/worker, the worker library as Node.js can load it: JavaScript modules and their types.
 * `--out <folder>` writes to another folder than dist.
 */
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { readOptions } from "./options.ts";

const root = join(import.meta.dirname, "..");
const values = readOptions("Makes the worker library as Node.js can load it.", {
  out: { type: "string", default: join(root, "dist"), about: "the folder that it is written to" },
});
const out = resolve(values.out);

await rm(join(out, "worker"), { recursive: true, force: true });
await Bun.build({
  entrypoints: ["index.ts", "heartbeat-thread.ts"].map((name) => join(root, "src", "worker", name)),
  root: join(root, "src"),
  outdir: out,
  target: "node",
  format: "esm",
  packages: "external",
  splitting: true,
  naming: { chunk: "worker/[name]-[hash].[ext]" },
});

const types = Bun.spawn(
  [join(root, "node_modules", ".bin", "tsc"), "-p", "tsconfig.build.json", "--outDir", out],
  { cwd: root, stdout: "inherit", stderr: "inherit" },
);
if ((await types.exited) !== 0) process.exit(1);
console.log(`The worker library for Node.js is in ${join(out, "worker")}`);
