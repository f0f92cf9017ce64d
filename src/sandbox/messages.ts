/** Sentences that both sides of the pipe say. */

export function deadlineMessage(scriptMs: number): string {
  return `The script did not end within ${scriptMs} ms.`;
}

export function mebibytes(bytes: number): string {
  return `${Number((bytes / (1024 * 1024)).toFixed(1))} MiB`;
}
