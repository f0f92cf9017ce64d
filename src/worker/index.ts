/** `orchy/worker`: what a program imports to run actions. Works on Bun and on Node.js from 20 on. */
export { NonRetryableError, type StopReason, TaskStopped } from "./errors.ts";
export type { Logger } from "./link.ts";
export type { Handler, TaskContext, TaskParent } from "./tasks.ts";
export type { TlsOptions, TransportKind } from "./transport.ts";
export { type ActionOptions, type StopOptions, Worker, type WorkerOptions } from "./worker.ts";
