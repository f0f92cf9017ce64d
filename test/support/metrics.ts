/** What `/metrics` of a server says, as numbers. */
export type Samples = ReadonlyMap<string, number>;

/** By name and labels, as they are written: `orchy_x_total{status="ok"}`. */
export async function readMetrics(
  server: { readonly url: string },
  headers: Record<string, string> = {},
): Promise<Samples> {
  const response = await fetch(`${server.url}/metrics`, { headers });
  const samples = new Map<string, number>();
  for (const line of (await response.text()).split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const space = line.lastIndexOf(" ");
    samples.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return samples;
}

/** The sum over all samples of a name whose labels hold these parts. */
export function total(samples: Samples, name: string, ...parts: readonly string[]): number {
  let sum = 0;
  for (const [key, value] of samples) {
    const isMeant = key === name || key.startsWith(`${name}{`);
    if (isMeant && parts.every((part) => key.includes(part))) sum += value;
  }
  return sum;
}

/** Reads the metrics until this many polls wait for tasks. */
export async function untilParked(
  server: { readonly url: string },
  polls: number,
  headers: Record<string, string> = {},
): Promise<void> {
  const giveUpAt = performance.now() + 60_000;
  while ((await readMetrics(server, headers)).get("orchy_parked_polls") !== polls) {
    if (performance.now() > giveUpAt) throw new Error(`there never were ${polls} parked polls`);
  }
}
