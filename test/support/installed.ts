/**
 * Programs of package registries that tests start: each is installed once for each user, into a
 * cache folder outside of the checkout, at an exact version. Where one cannot be had, the reason is
 * returned, and tests are skipped by it.
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { run } from "../interop/support/run.ts";

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "orchy-test");

type Installed = { readonly folder: string } | { readonly missing: string };

/** A program that is installed when it is asked for, once for each process. */
export class TestProgram {
  readonly #install: () => Promise<Installed>;
  #installing: Promise<Installed> | undefined;

  constructor(install: () => Promise<Installed>) {
    this.#install = install;
  }

  /** Why it cannot be started here; undefined when it can. */
  async missing(): Promise<string | undefined> {
    const installed = await this.#installed();
    return "missing" in installed ? installed.missing : undefined;
  }

  /** Throws where it is missing. */
  async folder(): Promise<string> {
    const installed = await this.#installed();
    if ("missing" in installed) throw new Error(installed.missing);
    return installed.folder;
  }

  #installed(): Promise<Installed> {
    this.#installing ??= this.#install();
    return this.#installing;
  }
}

/** `fill` puts everything into a folder, or returns why it cannot. */
async function installOnce(
  name: string,
  fill: (folder: string) => Promise<string | undefined>,
): Promise<Installed> {
  const folder = join(cache, name);
  if (existsSync(folder)) return { folder };
  console.log(`installing ${name} for tests`);
  // Another process may install it at the same time: whole folders take their place at once.
  const unfinished = join(cache, `.${name}-${process.pid}`);
  mkdirSync(unfinished, { recursive: true });
  try {
    const missing = await fill(unfinished);
    if (missing !== undefined) return { missing: `${name} cannot be installed: ${missing}` };
    if (!existsSync(folder)) renameSync(unfinished, folder);
    return { folder };
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

function lacking(...programs: readonly string[]): string | undefined {
  const absent = programs.filter((program) => Bun.which(program) === null);
  return absent.length === 0 ? undefined : `there is no ${absent.join(" and no ")} here`;
}

async function done(command: readonly string[], cwd: string): Promise<string | undefined> {
  const { ok, output } = await run(command, { cwd });
  if (ok) return undefined;
  const lines = output.split("\n");
  return lines.find((line) => /error/i.test(line)) ?? lines.at(-1);
}

/** `PYTHONPATH` that has this package and all it needs. */
export function installPython(name: string, version: string): Promise<Installed> {
  return installOnce(`${name}-${version}`, async (folder) => {
    const pip = ["python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    return (
      lacking("python3") ?? done([...pip, `--target=${folder}`, `${name}==${version}`], folder)
    );
  });
}

/** The folder of this package. `prepare` runs in it, as its own scripts do not. */
export async function installNpm(
  name: string,
  version: string,
  prepare?: readonly string[],
): Promise<Installed> {
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund"];
  const place = (folder: string) => join(folder, "node_modules", name);
  const installed = await installOnce(`${name.replace("/", "-")}-${version}`, async (folder) => {
    const npm = ["npm", "install", "--prefix", folder, ...flags, `${name}@${version}`];
    const fault = lacking("npm") ?? (await done(npm, folder));
    return fault ?? (prepare && (await done(prepare, place(folder))));
  });
  return "missing" in installed ? installed : { folder: place(installed.folder) };
}

const copyGoal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/** A folder of jars: this artifact with all that it needs. */
export function installMaven(group: string, artifact: string, version: string): Promise<Installed> {
  return installOnce(`${artifact}-${version}`, async (folder) => {
    const none = lacking("java", "mvn");
    if (none !== undefined) return none;
    const coordinates = (group: string, artifact: string, version: string) =>
      `<groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version>`;
    const pom =
      `<project><modelVersion>4.0.0</modelVersion>${coordinates("orchy", "test", "1")}` +
      `<packaging>pom</packaging><dependencies><dependency>` +
      `${coordinates(group, artifact, version)}</dependency></dependencies></project>`;
    writeFileSync(join(folder, "pom.xml"), pom);
    const flags = ["-q", "-B", "-ntp", "-DincludeScope=runtime", `-DoutputDirectory=${folder}`];
    return done(["mvn", ...flags, copyGoal], folder);
  });
}

/** A quick build: what is compiled in one piece is a little faster, and takes twice as long. */
const cargoSettings = ["profile.release.lto=false", "profile.release.codegen-units=16"];

/** A folder with the programs of this crate in `bin`, built with the exact crates it was tested with. */
export function installCargo(
  name: string,
  version: string,
  features: readonly string[],
): Promise<Installed> {
  return installOnce(`${name}-${version}`, async (folder) => {
    const flags = ["--locked", "--no-track", "--quiet", `--root=${folder}`];
    const chosen = ["--no-default-features", `--features=${features.join()}`];
    const settings = cargoSettings.flatMap((setting) => ["--config", setting]);
    const cargo = ["cargo", "install", `${name}@${version}`, ...flags, ...chosen, ...settings];
    return lacking("cargo", "cc") ?? done(cargo, folder);
  });
}
