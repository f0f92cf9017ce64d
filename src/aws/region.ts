/** The region as every tool of AWS finds it: environment, profile, instance metadata. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

const metadataMs = 1_000;

/** Undefined: nobody names one. */
export async function findRegion(env: Environment = process.env): Promise<string | undefined> {
  return (
    env.AWS_REGION ||
    env.AWS_DEFAULT_REGION ||
    (await regionOfProfile(env)) ||
    (await regionOfInstance(env))
  );
}

async function regionOfProfile(env: Environment): Promise<string | undefined> {
  const path = env.AWS_CONFIG_FILE || join(env.HOME || homedir(), ".aws", "config");
  const text = await readFile(path, "utf8").catch(() => "");
  const profile = env.AWS_PROFILE || "default";
  let section = "";
  for (const line of text.split("\n")) {
    const head = /^\s*\[\s*(?:profile\s+)?([^\]]*?)\s*\]/.exec(line);
    if (head !== null) section = head[1]!.replace(/^(["'])(.*)\1$/, "$2");
    const region = /^region\s*=\s*(\S+)/.exec(line)?.[1];
    if (region !== undefined && section === profile) return region;
  }
  return undefined;
}

async function regionOfInstance(env: Environment): Promise<string | undefined> {
  if (env.AWS_EC2_METADATA_DISABLED?.toLowerCase() === "true") return undefined;
  const base = env.AWS_EC2_METADATA_SERVICE_ENDPOINT || "http://169.254.169.254";
  const ask = async (path: string, method: string, headers: Record<string, string>) => {
    const signal = AbortSignal.timeout(metadataMs);
    const response = await fetch(new URL(path, base), { method, headers, signal });
    return response.ok ? await response.text() : undefined;
  };
  try {
    const ttl = { "x-aws-ec2-metadata-token-ttl-seconds": "60" };
    const token = (await ask("/latest/api/token", "PUT", ttl)) ?? "";
    const headers = { "x-aws-ec2-metadata-token": token };
    return await ask("/latest/meta-data/placement/region", "GET", headers);
  } catch {
    return undefined;
  }
}
