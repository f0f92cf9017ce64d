/** Ways of calling the HTTP port as a caller without a library would. */
import { connect } from "node:net";

export interface Answer {
  readonly status: number;
  readonly code: string | undefined;
  readonly message: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever was answered.
  readonly json: any;
}

export async function call(
  url: string,
  body: NonNullable<RequestInit["body"]>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  });
  const text = await response.text();
  const json = JSON.parse(text === "" ? "null" : text);
  return { status: response.status, code: json?.code, message: json?.message ?? "", json };
}

/** Sends bytes as they are, and answers what came back until the connection closed. */
export function sendRaw(url: string, chunks: Iterable<string | Uint8Array>): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    let received = "";
    const socket = connect(Number(port), hostname, () => {
      for (const chunk of chunks) socket.write(chunk);
    });
    socket.on("data", (data) => {
      received += data.toString("latin1");
      // The first whole head is enough: a refused request may keep its connection open.
      if (received.includes("\r\n\r\n")) socket.destroy();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(received));
  });
}

/** Runs curl; answers its output and the status of the response. */
export async function curl(...args: string[]): Promise<{ status: number; body: string }> {
  const child = Bun.spawn(["curl", "-sS", "-m", "10", "-w", "\n%{http_code}", ...args], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const output = await new Response(child.stdout).text();
  const end = output.lastIndexOf("\n");
  return { status: Number(output.slice(end + 1)), body: output.slice(0, end) };
}
