/**
 * Makes src/gen from proto/ with buf and protoc-gen-es: `bun run generate`. With --check nothing is
 * written; it exits with 1 and names the files when src/gen is not what proto/ would give.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  type FileDescriptorProto,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";

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

async function buf(...args: readonly string[]): Promise<Uint8Array> {
  const program = join(root, "node_modules", ".bin", "buf");
  const child = Bun.spawn([program, ...args], { cwd: root, stderr: "inherit" });
  const output = await new Response(child.stdout).bytes();
  const code = await child.exited;
  if (code !== 0) throw new Error(`buf ${args[0]} ended with ${code}`);
  return output;
}

/** Source: `SourceCodeInfo.Location` of descriptor.proto; 4: messages, 6: services, 5: enums. */
function commentsOf(file: FileDescriptorProto): Record<string, string> {
  const comments: Record<string, string> = {};
  for (const { path, leadingComments } of file.sourceCodeInfo?.location ?? []) {
    const name = nameAt(file, path);
    const text = leadingComments.trim().replace(/\s+/g, " ");
    if (name !== undefined && text !== "") comments[`${file.package}.${name}`] = text;
  }
  return comments;
}

function nameAt(file: FileDescriptorProto, path: readonly number[]): string | undefined {
  const [kind, at = 0, , member] = path;
  const parent = kind === 4 ? file.messageType[at] : kind === 6 ? file.service[at] : undefined;
  if (parent === undefined)
    return kind === 5 && path.length === 2 ? file.enumType[at]?.name : undefined;
  if (member === undefined) return parent.name;
  const members = "method" in parent ? parent.method : (parent as DescriptorProto).field;
  return path.length === 4 ? `${parent.name}.${members[member]?.name}` : undefined;
}

/** The comments of the worker service, which the OpenAPI document carries. */
async function workerComments(): Promise<string> {
  const image = await buf("build", "--as-file-descriptor-set", "-o", "-#format=binpb");
  const { file: files } = fromBinary(FileDescriptorSetSchema, image);
  const file = files.find(({ name }) => name === "orchy/v1/worker.proto")!;
  const comments = JSON.stringify(commentsOf(file), undefined, 2);
  return (
    "// Made from orchy/v1/worker.proto by scripts/generate.ts. Do not edit.\n\n" +
    `export const comments: Readonly<Record<string, string>> = ${comments};\n`
  );
}

async function generate(): Promise<Map<string, string>> {
  const output = await mkdtemp(join(tmpdir(), "orchy-generate-"));
  try {
    await buf("generate", "-o", output);
    const files = await readTree(output);
    return files.set("orchy/v1/worker_comments.ts", await workerComments());
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
