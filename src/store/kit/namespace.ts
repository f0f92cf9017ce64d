/** What a namespace is: its partitions, fixed when it is created, and its format, which only rises. */
import { currentFormat, oldestFormat } from "../../model/format.ts";

export interface Namespace {
  readonly partitions: number;
  readonly format: number;
}

/** As it is stored, in texts. */
interface Stored {
  readonly partitions: string | undefined;
  readonly format: string | undefined;
}

interface Options {
  readonly namespace: string;
  /** Absent: as the namespace was created. */
  readonly partitions?: number | undefined;
}

/** Throws an Error of one sentence when this server cannot use the namespace. */
export function readNamespace({ partitions, format }: Stored, options: Options): Namespace {
  const read = { partitions: Number(partitions), format: Number(format) };
  if (!(read.format >= oldestFormat && read.format <= currentFormat)) {
    throw new Error(
      `The namespace ${options.namespace} was written by another version of Orchy (format ` +
        `${format}; this one reads ${oldestFormat} to ${currentFormat}). Start that version, or a ` +
        "newer one.",
    );
  }
  checkPartitions(read.partitions, options);
  return read;
}

/** The same, of its partitions alone. */
export function checkPartitions(stored: number, { namespace, partitions }: Options): void {
  if (partitions === undefined || partitions === stored) return;
  throw new Error(
    `The namespace ${namespace} has ${stored} partitions, which cannot be changed; ` +
      `start with --partitions ${stored}, or without it.`,
  );
}
