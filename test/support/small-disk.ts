/** Disks of their own that can be filled to the last byte: small file systems in memory. */
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const mebibyte = 1024 * 1024;

function mount(path: string, bytes: number): boolean {
  const options = ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", path];
  return Bun.spawnSync(["mount", ...options], { stdio: ["ignore", "ignore", "ignore"] }).success;
}

function unmount(path: string): void {
  Bun.spawnSync(["umount", "--lazy", path]);
  rmSync(path, { recursive: true, force: true });
}

function whyNot(): string | undefined {
  if (process.platform !== "linux") return "small disks are file systems of Linux";
  const path = mkdtempSync(join(tmpdir(), "orchy-disk-"));
  const mounted = mount(path, mebibyte);
  unmount(path);
  return mounted ? undefined : "small disks need the right to mount one: run it as root";
}

/** Why there are none here; undefined when there are. */
export const disksMissing = whyNot();

export interface SmallDisk {
  readonly path: string;
  readonly freeBytes: number;
  /** Takes what is free, except for this many bytes. */
  fill(leftBytes?: number): void;
  /** Gives back what `fill` has taken. */
  empty(): void;
  remove(): void;
}

export function makeSmallDisk(mebibytes: number): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), "orchy-disk-"));
  if (!mount(path, mebibytes * mebibyte)) throw new Error(`a disk cannot be mounted at ${path}`);
  const fillers: string[] = [];
  const free = () => {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  };
  return {
    path,
    get freeBytes() {
      return free();
    },
    fill(leftBytes = 0) {
      const filler = join(path, `filler-${fillers.length}`);
      fillers.push(filler);
      const file = openSync(filler, "w");
      try {
        for (let left = free() - leftBytes; left > 0; left = free() - leftBytes) {
          writeSync(file, Buffer.alloc(Math.min(left, mebibyte)));
        }
      } catch (error) {
        if ((error as { code?: string }).code !== "ENOSPC") throw error;
      } finally {
        closeSync(file);
      }
    },
    empty() {
      for (const filler of fillers.splice(0)) rmSync(filler, { force: true });
    },
    remove: () => unmount(path),
  };
}
