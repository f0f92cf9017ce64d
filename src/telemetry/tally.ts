/**
 * Counts and distributions kept as plain numbers, for what happens with every step: the client
 * library's own cost several times as much. It reads these when the metrics are read.
 */
import { Counter, type Metric, type Registry } from "prom-client";

interface Naming {
  readonly name: string;
  readonly help: string;
  readonly registry: Registry;
}

/** How often something of each kind happened; the kinds are the values of one label. */
export class Tally {
  readonly #counts = new Map<string, number>();

  constructor({ name, help, registry }: Naming, label?: string) {
    const counts = this.#counts;
    const counter = new Counter({
      name,
      help,
      registers: [registry],
      labelNames: label === undefined ? [] : [label],
      collect() {
        counter.reset();
        for (const [kind, count] of counts) {
          if (label === undefined) counter.inc(count);
          else counter.inc({ [label]: kind }, count);
        }
      },
    });
  }

  add(kind = "", count = 1): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + count);
  }
}

/** How long something took, in seconds, by upper bounds of buckets. */
class Spread {
  readonly #bounds: readonly number[];
  readonly #counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  add(seconds: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && seconds > bounds[bucket]!) bucket += 1;
    this.#counts[bucket]! += 1;
    this.sum += seconds;
  }

  /** The counts within each bound, and last the total. */
  cumulative(): { readonly within: number | "+Inf"; readonly count: number }[] {
    let count = 0;
    return [...this.#counts].map((inBucket, bucket) => {
      count += inBucket;
      return { within: this.#bounds[bucket] ?? "+Inf", count };
    });
  }
}

type Labels = Readonly<Record<string, string>>;

/** The spreads of one histogram, each with its labels. */
export class Spreads {
  readonly #bounds: readonly number[];
  readonly #all: { readonly labels: Labels; readonly spread: Spread }[] = [];

  constructor(
    { name, help, registry }: Naming,
    bounds: readonly number[],
    labelNames: readonly string[],
  ) {
    this.#bounds = bounds;
    const get = async () => ({
      name,
      help,
      type: "histogram",
      aggregator: "sum",
      values: this.#all.flatMap(({ labels, spread }) => valuesOf(name, labels, spread)),
    });
    registry.registerMetric({ name, labelNames, get } as unknown as Metric);
  }

  with(labels: Labels = {}): Spread {
    const spread = new Spread(this.#bounds);
    this.#all.push({ labels, spread });
    return spread;
  }
}

function valuesOf(name: string, labels: Labels, spread: Spread) {
  const buckets = spread.cumulative();
  return [
    ...buckets.map(({ within, count }) => ({
      metricName: `${name}_bucket`,
      labels: { le: within, ...labels },
      value: count,
    })),
    { metricName: `${name}_sum`, labels, value: spread.sum },
    { metricName: `${name}_count`, labels, value: buckets.at(-1)!.count },
  ];
}
