/**
 * Builds the clients of each language where its toolchain is installed. Packages come from the
 * language's own registry and are kept in its own cache; what is built is kept in `.cache`.
 */
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder, download, interopFolder, mustRun, once, protoFolder, run } from "./run.ts";

/** Why something cannot be done on this machine; undefined when it can. */
export type Skip = string | undefined;

const goFolder = join(interopFolder, "go");
const pythonFolder = join(interopFolder, "python");
const javaFolder = join(interopFolder, "java");
const binaries = join(cacheFolder, "bin");
const virtualEnvironment = join(cacheFolder, "venv");
const python = join(virtualEnvironment, "bin", "python");
const buf = join(interopFolder, "../../node_modules/.bin/buf");
const ownProto = join(protoFolder, "orchy");

/** Path of a program that `prepareGo` or `prepareGoTools` has built. */
export const goProgram = (name: string): string => join(binaries, name);

export function missing(...programs: string[]): Skip {
  const absent = programs.filter((program) => Bun.which(program) === null);
  return absent.length === 0 ? undefined : `${absent.join(" and ")} not installed`;
}

export async function prepareGo(): Promise<Skip> {
  const none = missing("go");
  if (none !== undefined) return none;
  const inGo = { cwd: goFolder };
  return once("go", [goFolder, protoFolder], async () => {
    const offline = await download(["go", "mod", "download"], inGo);
    if (offline !== undefined) return offline;
    await mustRun([buf, "generate"], inGo);
    await mustRun([buf, "generate", "--template", "legacy/buf.gen.yaml"], inGo);
    await mustRun(["go", "build", "-o", `${binaries}/`, "./..."], inGo);
    return undefined;
  });
}

/** h2spec and grpcurl. */
export async function prepareGoTools(): Promise<Skip> {
  const none = missing("go");
  if (none !== undefined) return none;
  const inTools = { cwd: join(goFolder, "tools"), env: { GOBIN: binaries } };
  return once("go-tools", [join(goFolder, "tools")], async () => {
    const offline = await download(["go", "mod", "download"], inTools);
    if (offline !== undefined) return offline;
    await mustRun(["go", "install", "tool"], inTools);
    return undefined;
  });
}

/** Arguments that run a file of the Python folder, and the environment that it needs. */
export const pythonProgram = (file: string): string[] => [python, "-u", join(pythonFolder, file)];
export const pythonEnvironment = { PYTHONPATH: join(pythonFolder, "gen") };

export async function preparePython(): Promise<Skip> {
  return once("python", [pythonFolder, ownProto], async () => {
    const offline = await install("requirements.txt");
    if (offline !== undefined) return offline;
    const gen = join(pythonFolder, "gen");
    await mustRun(["mkdir", "-p", gen]);
    const outputs = [`--python_out=${gen}`, `--grpc_python_out=${gen}`];
    const proto = join(ownProto, "v1/worker.proto");
    await mustRun([python, "-m", "grpc_tools.protoc", "-I", protoFolder, ...outputs, proto]);
    return undefined;
  });
}

export const schemathesis = join(virtualEnvironment, "bin", "schemathesis");

export function prepareSchemathesis(): Promise<Skip> {
  const requirements = "requirements-schemathesis.txt";
  return once("schemathesis", [join(pythonFolder, requirements)], () => install(requirements));
}

/** Where programs of Python packages are. */
export const virtualPath = join(virtualEnvironment, "bin");

/** What makes clients in Python from an OpenAPI document. */
export function preparePythonClients(): Promise<Skip> {
  const requirements = "requirements-openapi.txt";
  return once("openapi-python", [join(pythonFolder, requirements)], () => install(requirements));
}

/** Beside what is installed there: the document, and the client that is made of it. */
export const openapiFolder = join(cacheFolder, "openapi");

/** A program of npm packages that `prepareOpenapi` has installed. */
export const openapiProgram = (name: string): string[] => [
  join(openapiFolder, "node_modules", ".bin", name),
];

/** A linter for OpenAPI, and what makes clients in TypeScript. */
export async function prepareOpenapi(): Promise<Skip> {
  const none = missing("node", "npm");
  if (none !== undefined) return none;
  const source = join(interopFolder, "openapi");
  const manifests = ["package.json", "package-lock.json"];
  const sources = manifests.map((name) => join(source, name));
  return once("openapi", sources, async () => {
    await mkdir(openapiFolder, { recursive: true });
    for (const name of manifests) await copyFile(join(source, name), join(openapiFolder, name));
    const flags = ["--no-fund", "--no-audit", "--loglevel=error"];
    return download(["npm", "ci", ...flags], { cwd: openapiFolder });
  });
}

async function install(requirements: string): Promise<Skip> {
  const none = missing("python3");
  if (none !== undefined) return none;
  const { ok, output } = await run(["python3", "-m", "venv", virtualEnvironment]);
  if (!ok) return `python3 makes no virtual environment: ${output.split("\n").at(-1)}`;
  const pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  return download([...pip, "-r", join(pythonFolder, requirements)]);
}

const javaOutput = join(cacheFolder, "java");

export async function javaProgram(name: string): Promise<string[]> {
  const libraries = await Bun.file(join(javaOutput, "classpath")).text();
  const path = `${join(javaOutput, "classes")}:${libraries}`;
  // A short life on few cores: what would be compiled well is compiled fast.
  return ["java", "-XX:TieredStopAtLevel=1", "-cp", path, `orchy.example.${name}`];
}

export async function prepareJava(): Promise<Skip> {
  const none = missing("java", "mvn");
  if (none !== undefined) return none;
  return once("java", [javaFolder, ownProto], async () => {
    const flags = ["-q", "-B", "-ntp", `-DoutputFolder=${javaOutput}`];
    const classpath = `-Dmdep.outputFile=${join(javaOutput, "classpath")}`;
    const goals = ["compile", "dependency:build-classpath", classpath];
    const ran = await run(["mvn", ...flags, ...goals], { cwd: javaFolder });
    if (ran.ok) return undefined;
    const cause = /Could not (transfer|resolve|find)[^\n]*|Unable to resolve[^\n]*/.exec(
      ran.output,
    );
    if (cause === null) throw new Error(`mvn failed:\n${ran.output}`);
    return `mvn failed: ${cause[0].slice(0, 200)}`;
  });
}
