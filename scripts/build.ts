/**
 * Makes dist, the worker library as a separate package for Node.js and Bun: JavaScript modules,
 * their types, and a package.json with the worker's dependencies alone. `--out <folder>` writes
 * elsewhere.
 */
import { copyFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import manifest from "../package.json" with { type: "json" };
import { readOptions } from "./options.ts";

const root = join(import.meta.dirname, "..");
const values = readOptions("Makes the worker library as a package for Node.js and Bun.", {
  out: { type: "string", default: join(root, "dist"), about: "the folder that it is written to" },
});
const out = resolve(values.out);

await rm(join(out, "worker"), { recursive: true, force: true });
const { outputs } = await Bun.build({
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

const { name, version, license, type, engines } = manifest;
const own = {
  name,
  version,
  description: "Worker library of Orchy, a distributed, fault-tolerant workflow orchestrator.",
  license,
  type,
  engines,
  exports: { "./worker": { types: "./worker/index.d.ts", default: "./worker/index.js" } },
  dependencies: await importedPackages(),
};
await Bun.write(join(out, "package.json"), `${JSON.stringify(own, null, 2)}\n`);
await copyFile(join(root, "LICENSE"), join(out, "LICENSE"));
await copyFile(join(root, "src", "worker", "README.md"), join(out, "README.md"));
console.log(`The package of the worker library is in ${out}. Next: npm pack ${out}`);

/** What the built modules import, in the versions of the project. */
async function importedPackages(): Promise<Record<string, string>> {
  const scanner = new Bun.Transpiler({ loader: "js" });
  const packages = new Set<string>();
  for (const output of outputs) {
    for (const { path } of scanner.scanImports(await output.text())) {
      if (path.startsWith("node:") || path.startsWith(".")) continue;
      packages.add(path.split("/", path.startsWith("@") ? 2 : 1).join("/"));
    }
  }
  const versions: Record<string, string> = manifest.dependencies;
  return Object.fromEntries([...packages].sort().map((each) => [each, versions[each]!]));
}
