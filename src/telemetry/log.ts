/**
 * The server's log: one JSON object a line. Fields are small scalars by type, so that a payload can
 * never end up in the log by being passed along with something else.
 */
import type { Clock } from "../base/clock.ts";
import { Ration } from "../base/ration.ts";

export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

/** An Error becomes its name, message and stack. */
export type LogFields = Readonly<Record<string, string | number | boolean | Error | undefined>>;

/** Lines with a level, a message and fields; a secret is never a field. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log, with fields that every line carries. */
  with(fields: LogFields): Logger;
}

interface LoggerOptions {
  readonly level: LogLevel;
  readonly clock: Clock;
  /** Takes one line without its line end. */
  readonly write: (line: string) => void;
  readonly fields?: LogFields;
}

/** Longer texts are cut: a log line is for people, and no input decides how long it gets. */
const textCharsMax = 4_000;

/**
 * What JSON leaves as it is, and terminals and viewers of logs may take for a command or a line
 * end.
 */
const unprintable = /[\u007f-\u009f\u2028\u2029]/g;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function cut(text: string): string {
  return text.length <= textCharsMax ? text : `${text.slice(0, textCharsMax)}…`;
}

function printable(value: LogFields[string]): unknown {
  if (typeof value === "string") return cut(value);
  if (!(value instanceof Error)) return value;
  return { name: value.name, message: cut(value.message), stack: cut(value.stack ?? "") };
}

/** A logger that writes one JSON object a line. Lines beyond a rate are counted, not written. */
export function createLogger(options: LoggerOptions): Logger {
  return loggerWith(options, new Ration(options.clock));
}

function loggerWith(options: LoggerOptions, ration: Ration): Logger {
  const least = logLevels.indexOf(options.level);

  /** With `debug` every line is wanted, and no change by a person may be missing. */
  function line(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (logLevels.indexOf(level) < least) return;
    const isFree = level === "debug" || fields.audit === true;
    const tell = (leftOut: number) => write(level, "lines were left out", { of: message, leftOut });
    if (isFree || ration.allows(message, tell)) write(level, message, fields);
  }

  function write(level: LogLevel, message: string, fields: LogFields): void {
    const entries = Object.entries({ ...options.fields, ...fields });
    const line = JSON.stringify({
      level,
      time: new Date(options.clock.now()).toISOString(),
      message: cut(message),
      ...Object.fromEntries(entries.map(([name, value]) => [name, printable(value)])),
    });
    options.write(line.replace(unprintable, escaped));
  }

  return {
    debug: (message, fields) => line("debug", message, fields),
    info: (message, fields) => line("info", message, fields),
    warn: (message, fields) => line("warn", message, fields),
    error: (message, fields) => line("error", message, fields),
    with: (fields) => loggerWith({ ...options, fields: { ...options.fields, ...fields } }, ration),
  };
}

/** Lines on standard output, where process managers and containers look for them. */
export function writeLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** What was thrown, as an Error: anything can be thrown. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
