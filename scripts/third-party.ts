/**
 * `npm run third-party`: writes THIRD-PARTY.txt, the notice of the packages that a server runs with,
 * from the lock file and from what is installed. `--check` compares it instead, for `npm test`.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const notice = join(root, "THIRD-PARTY.txt");

interface Locked {
  readonly version: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  /** For which platform it is: one of several forms of the package that depends on it. */
  readonly os?: readonly string[];
}

/** The license as its package carries it; undefined: it names one, and carries no text. */
async function licenseText(folder: string): Promise<string | undefined> {
  const files = (await readdir(folder)).filter((name) => /^(licen[cs]e|copying)\b/i.test(name));
  const [first] = files.sort();
  if (first === undefined) return undefined;
  return (await readFile(join(folder, first), "utf8")).replaceAll("\r\n", "\n").trim();
}

async function makeNotice(): Promise<string> {
  const lock = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8"));
  const names = new Map<string, string>();
  const texts = new Map<string, string[]>();
  for (const [path, locked] of Object.entries(lock.packages as Record<string, Locked>)) {
    const isTool = locked.dev === true || locked.devOptional === true;
    const isForm = locked.os !== undefined && path.includes("/node_modules/");
    if (path === "" || isTool || isForm) continue;
    const name = `${path.slice(path.lastIndexOf("node_modules/") + 13)} ${locked.version}`;
    if (names.has(name)) continue;
    names.set(name, locked.license ?? "no license named");
    const text = (await licenseText(join(root, path))) ?? "Its package names the license only.";
    texts.set(text, [...(texts.get(text) ?? []), name]);
  }
  const list = [...names].map(([name, license]) => `${name}: ${license}`).sort();
  const parts = [...texts].map(([text, of]) => [`${of.sort().join("\n")}\n\n${text}`, of] as const);
  parts.sort(([, a], [, b]) => (a[0]! < b[0]! ? -1 : 1));
  const line = "-".repeat(80);
  return [
    "Packages that a server of Orchy runs with, and their licenses. Made by `npm run third-party`.",
    list.join("\n"),
    ...parts.map(([part]) => `${line}\n\n${part}`),
    "",
  ].join("\n\n");
}

const made = await makeNotice();
if (!process.argv.includes("--check")) {
  await Bun.write(notice, made);
} else if ((await readFile(notice, "utf8").catch(() => "")) !== made) {
  console.error("THIRD-PARTY.txt is not of the installed packages: run npm run third-party");
  process.exit(1);
}
