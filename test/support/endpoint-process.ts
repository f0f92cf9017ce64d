/** Services in processes of their own: their work is not that of the process that measures or tests. */

export interface EndpointProcess {
  readonly endpoint: string;
  /** What its program receives as a message. */
  send(message: string): void;
  stop(): Promise<void>;
}

/** `program`: sends its endpoint to its parent once it listens. */
export async function startEndpoint(
  program: string,
  ...args: readonly string[]
): Promise<EndpointProcess> {
  const started = Promise.withResolvers<string>();
  const child = Bun.spawn([process.execPath, program, ...args], {
    ipc: (endpoint: string) => started.resolve(endpoint),
    stdio: ["ignore", "inherit", "inherit"],
  });
  return {
    endpoint: await started.promise,
    send: (message) => void child.send(message),
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}
