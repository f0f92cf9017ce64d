/**
 * Makes src/gen from proto/ with buf and protoc-gen-es: `bun run generate`. With --check nothing is
 * written; it exits with 1 and names the files when src/gen is not what proto/ would give.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..");
const target = join(root, "src", "gen");

async function readTree(directory: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(
    () => [],
  );
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(path.slice(directory.length + 1), await readFile(path, "utf8"));
  }
  return files;
}

async function generate(): Promise<Map<string, string>> {
  const output = await mkdtemp(join(tmpdir(), "orchy-generate-"));
  try {
    const buf = Bun.spawn([join(root, "node_modules", ".bin", "buf"), "generate", "-o", output], {
      cwd: root,
      stdout: "inherit",
      stderr: "inherit",
    });
    const code = await buf.exited;
    if (code !== 0) throw new Error(`buf generate ended with ${code}`);
    return await readTree(output);
  } finally {
    await rm(output, { recursive: true, force: true });
  }
}

const wanted = await generate();
const present = await readTree(target);
const names = [...new Set([...wanted.keys(), ...present.keys()])].sort();
const different = names.filter((name) => wanted.get(name) !== present.get(name));

if (process.argv.includes("--check")) {
  for (const name of different) console.error(`src/gen/${name} is not what proto/ gives`);
  if (different.length > 0) console.error("Run: bun run generate");
  process.exitCode = different.length > 0 ? 1 : 0;
} else {
  for (const name of different) {
    const text = wanted.get(name);
    const path = join(target, name);
    if (text === undefined) {
      await rm(path);
    } else {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
    }
  }
  console.log(`src/gen: ${wanted.size} files, ${different.length} changed`);
}
