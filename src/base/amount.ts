/** Sizes and times as people read them, exactly: for errors, logs and documents. */

type Units = readonly (readonly [size: number, unit: string])[];

const byteUnits: Units = [
  [1024 ** 3, "GiB"],
  [1024 ** 2, "MiB"],
  [1024, "KiB"],
];
const timeUnits: Units = [
  [86_400_000, "days"],
  [3_600_000, "hours"],
  [60_000, "minutes"],
];

/** 3145728 is "3 MiB", 4999 is "4,999 bytes": the largest unit that takes at most one decimal. */
export function inBytes(bytes: number): string {
  return inUnits(bytes, byteUnits, 1) ?? `${grouped(bytes)} bytes`;
}

/** 60000 is "60 s", 1500 is "1.5 s", 25 is "25 ms"; from two minutes on in larger units. */
export function inTime(ms: number): string {
  const inSeconds = inUnits(ms, [[1_000, "s"]], 1);
  return inUnits(ms, timeUnits, 2) ?? inSeconds ?? `${grouped(ms)} ms`;
}

export function grouped(value: number): string {
  return value.toLocaleString("en-US");
}

function inUnits(value: number, units: Units, countMin: number): string | undefined {
  const fitting = units.find(
    ([size]) => value >= countMin * size && Number.isInteger((value / size) * 10),
  );
  return fitting && `${grouped(value / fitting[0])} ${fitting[1]}`;
}
