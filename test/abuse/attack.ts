/** What an attack is, and what all of them share. */

export interface Target {
  readonly kind: "http" | "grpc";
  readonly port: number;
  /** An execution that has ended with a result of 3 MB and a long history. */
  readonly executionId: string;
}

/** Resolves when it has done its worst; its connections are then gone, or go with its process. */
export type Attack = (target: Target) => Promise<void>;

export async function inParallel(count: number, work: (n: number) => Promise<unknown>) {
  await Promise.all(Array.from({ length: count }, (_, n) => work(n)));
}
