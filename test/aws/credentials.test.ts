/** Credentials and regions, found as every tool of AWS finds them, in real processes. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Refreshed } from "../../src/aws/credentials.ts";
import { HandClock } from "../support/hand-clock.ts";

const session = { accessKeyId: "AKIDREMOTE", secretAccessKey: "remote secret" };
const expiration = "2040-01-01T00:00:00Z";
const expiresAt = Date.parse(expiration);
const remote = { ...session, sessionToken: "remote session", expiresAt };

let home: string;
/** Metadata of an instance and of a container, and the token service. */
let services: ReturnType<typeof Bun.serve>;
let paths: string[] = [];

const document = {
  Code: "Success",
  AccessKeyId: remote.accessKeyId,
  SecretAccessKey: remote.secretAccessKey,
  Token: remote.sessionToken,
  Expiration: expiration,
};
const assumed = `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
  <AccessKeyId>${remote.accessKeyId}</AccessKeyId>
  <SecretAccessKey>${remote.secretAccessKey}</SecretAccessKey>
  <SessionToken>${remote.sessionToken}</SessionToken><Expiration>${expiration}</Expiration>
  </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;

function reply(path: string): Response | undefined {
  switch (path) {
    case "/latest/api/token":
      return new Response("a token");
    case "/latest/meta-data/iam/security-credentials/":
      return new Response("a-role");
    case "/latest/meta-data/iam/security-credentials/a-role":
    case "/container":
      return Response.json(document);
    case "/latest/meta-data/placement/region":
      return new Response("eu-central-1");
    case "/":
      return new Response(assumed, { headers: { "content-type": "text/xml" } });
    default:
      return undefined;
  }
}

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "orchy-aws-"));
  services = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const { pathname } = new URL(request.url);
      paths.push(pathname);
      return reply(pathname) ?? new Response("", { status: 404 });
    },
  });
});
afterAll(async () => {
  await services.stop(true);
  rmSync(home, { recursive: true });
});

async function findWith(env: Record<string, string>) {
  paths = [];
  const child = Bun.spawn([process.execPath, join(import.meta.dirname, "print-credentials.ts")], {
    env: { PATH: process.env.PATH, HOME: home, AWS_EC2_METADATA_DISABLED: "true", ...env },
    stderr: "inherit",
  });
  return JSON.parse(await new Response(child.stdout).text());
}

test("the environment is enough, and needs no library", async () => {
  const env = { AWS_ACCESS_KEY_ID: "AKID", AWS_SECRET_ACCESS_KEY: "s", AWS_REGION: "eu-west-3" };
  const found = { accessKeyId: "AKID", secretAccessKey: "s" };
  expect(await findWith(env)).toEqual({ found, isLoaded: false, region: "eu-west-3" });
  const temporary = { ...env, AWS_SESSION_TOKEN: "t", AWS_REGION: "", AWS_DEFAULT_REGION: "x-1" };
  const expected = { found: { ...found, sessionToken: "t" }, isLoaded: false, region: "x-1" };
  expect(await findWith(temporary)).toEqual(expected);
});

test("profiles, of which a named one comes before the environment", async () => {
  mkdirSync(join(home, ".aws"), { recursive: true });
  const program = join(home, "credentials.sh");
  const printed = JSON.stringify({ Version: 1, ...document, SessionToken: document.Token });
  writeFileSync(program, `#!/bin/sh\necho '${printed}'\n`, { mode: 0o700 });
  const keys = "aws_access_key_id = AKIDFILE\naws_secret_access_key = file secret\n";
  writeFileSync(join(home, ".aws", "credentials"), `[default]\n${keys}`);
  const config = `[default]\nregion = eu-north-1\n[profile other]\nregion = sa-east-1\ncredential_process = ${program}\n`;
  writeFileSync(join(home, ".aws", "config"), config);
  const found = { accessKeyId: "AKIDFILE", secretAccessKey: "file secret" };
  expect(await findWith({})).toEqual({ found, isLoaded: true, region: "eu-north-1" });
  const env = { AWS_ACCESS_KEY_ID: "AKID", AWS_SECRET_ACCESS_KEY: "s", AWS_PROFILE: "other" };
  expect(await findWith(env)).toEqual({ found: remote, isLoaded: true, region: "sa-east-1" });
  rmSync(join(home, ".aws"), { recursive: true });
});

test("a container's endpoint", async () => {
  const env = { AWS_CONTAINER_CREDENTIALS_FULL_URI: new URL("/container", services.url).href };
  expect(await findWith(env)).toEqual({ found: remote, isLoaded: true, region: null });
});

test("the metadata of an instance", async () => {
  const env = {
    AWS_EC2_METADATA_DISABLED: "false",
    AWS_EC2_METADATA_SERVICE_ENDPOINT: services.url.href,
  };
  const { found, region } = await findWith(env);
  expect({ ...found, expiresAt: remote.expiresAt }).toEqual(remote);
  expect(region).toBe("eu-central-1");
  expect(paths).toContain("/latest/api/token");
});

test("a web identity", async () => {
  writeFileSync(join(home, "token"), "an identity");
  const env = {
    AWS_WEB_IDENTITY_TOKEN_FILE: join(home, "token"),
    AWS_ROLE_ARN: "arn:aws:iam::123456789012:role/orchy",
    AWS_ENDPOINT_URL_STS: services.url.href,
    AWS_REGION: "eu-west-1",
  };
  const { found } = await findWith(env);
  expect(found).toMatchObject(remote);
});

test("none: a sentence says where it looked", async () => {
  const { found, region } = await findWith({});
  expect(found.error).toMatch(
    /^No AWS credentials were found in the environment, a profile, a web identity, a container or the instance metadata: /,
  );
  expect(region).toBeNull();
});

test("they are fetched anew before they end, once for all, and the old ones are used meanwhile", async () => {
  const clock = new HandClock();
  let loads = 0;
  let failing = false;
  const source = new Refreshed(clock, async () => {
    loads++;
    if (failing) throw new Error("away");
    return { accessKeyId: `${loads}`, secretAccessKey: "s", expiresAt: clock.now() + 3_600_000 };
  });
  const id = async () => (await source.current()).accessKeyId;
  expect(await Promise.all([id(), id(), id()])).toEqual(["1", "1", "1"]);
  await clock.pass(54 * 60_000);
  expect(await id()).toBe("1");
  expect(loads).toBe(1);
  await clock.pass(2 * 60_000);
  failing = true;
  expect(await id()).toBe("1");
  expect(await id()).toBe("1");
  expect(loads).toBe(2);
  failing = false;
  await clock.pass(10_000);
  expect(await id()).toBe("1");
  expect(await id()).toBe("3");
  failing = true;
  await clock.pass(3_600_000);
  expect(id()).rejects.toThrow("away");
});
