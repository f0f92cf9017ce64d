/** Runs commands that get the test ready, and remembers what they were run on. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

export const interopFolder = join(import.meta.dir, "..");
export const protoFolder = join(interopFolder, "../../proto");
export const cacheFolder = join(interopFolder, ".cache");

export interface Ran {
  readonly ok: boolean;
  readonly output: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export async function run(command: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = Bun.spawn([...command], {
    cwd: options.cwd ?? interopFolder,
    env: { ...process.env, ...options.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { ok: code === 0, output: `${output}${errors}`.trim() };
}

/** A step that cannot fail unless the project is at fault. */
export async function mustRun(command: readonly string[], options: RunOptions = {}): Promise<void> {
  const ran = await run(command, options);
  if (!ran.ok) throw new Error(`${command.join(" ")} failed:\n${ran.output}`);
}

/** A step that needs a package registry. Where none can be reached, the reason to skip. */
export async function download(
  command: readonly string[],
  options: RunOptions = {},
): Promise<string | undefined> {
  const ran = await run(command, options);
  if (ran.ok) return undefined;
  return `${command.slice(0, 3).join(" ")} failed: ${ran.output.split("\n").at(-1)}`;
}

/** Does a piece of work once for each content of the folders and files that it reads. */
export async function once(
  name: string,
  sources: readonly string[],
  work: () => Promise<string | undefined>,
): Promise<string | undefined> {
  await mkdir(cacheFolder, { recursive: true });
  const mark = join(cacheFolder, `${name}.done`);
  const contents = await contentsOf(sources);
  if ((await readFile(mark, "utf8").catch(() => "")) === contents) return undefined;
  console.log(`interop: getting ${name} ready`);
  const skip = await work();
  if (skip === undefined) await writeFile(mark, contents);
  return skip;
}

const unread = /(^|\/)(gen|target|__pycache__|\.cache)\//;

async function contentsOf(sources: readonly string[]): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for (const source of sources) {
    const isFile = await Bun.file(source).exists();
    const names = isFile ? [""] : (await readdir(source, { recursive: true })).sort();
    for (const name of names) {
      const file = Bun.file(join(source, name));
      if (unread.test(name) || !(await file.exists())) continue;
      hash.update(name).update(await file.bytes());
    }
  }
  return hash.digest("hex");
}
