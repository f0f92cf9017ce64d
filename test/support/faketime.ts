/** Processes whose clock libfaketime sets, while the time that passes stays what it is. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

function find(): string | undefined {
  if (process.platform !== "linux") return undefined;
  const name = "faketime/libfaketime.so.1";
  const folders = existsSync("/usr/lib")
    ? readdirSync("/usr/lib").map((one) => `/usr/lib/${one}`)
    : [];
  return ["/usr/lib", "/usr/lib64", ...folders].map((one) => join(one, name)).find(existsSync);
}

function install(): string | undefined {
  const found = find();
  if (found !== undefined || process.getuid?.() !== 0 || Bun.which("apt-get") === null)
    return found;
  Bun.spawnSync(["apt-get", "install", "-y", "-q", "libfaketime"], {
    stdio: ["ignore", "ignore", "ignore"],
    timeout: 60_000,
  });
  return find();
}

const library = install();

/** Why it is not there; undefined when it is. */
export const faketimeMissing =
  library === undefined ? "libfaketime is not installed: apt-get install libfaketime" : undefined;

export interface FakeTime {
  readonly env: Readonly<Record<string, string>>;
  /** So many seconds from the right time, from now on. */
  set(seconds: number): void;
  remove(): void;
}

export function makeFakeTime(): FakeTime {
  const folder = mkdtempSync(join(tmpdir(), "orchy-faketime-"));
  const file = join(folder, "time");
  const set = (seconds: number) => writeFileSync(file, seconds < 0 ? `${seconds}` : `+${seconds}`);
  set(0);
  return {
    env: {
      LD_PRELOAD: library as string,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      DONT_FAKE_MONOTONIC: "1",
    },
    set,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
