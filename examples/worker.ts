/** Runs the actions of both example workflows: `bun examples/worker.ts [server address]`. */
import { NonRetryableError, type TaskContext, Worker } from "orchy/worker";

const server = process.argv[2] ?? "http://localhost:8080";
const worker = new Worker({ server });
const cardLimit = 1_000;

function say({ workflow, executionId, action }: TaskContext, text: string): void {
  console.log(`[${workflow} ${executionId.slice(-6)}] ${action}: ${text}`);
}

// seed.json

worker.action("add-params-action", (input, context) => {
  const output = { ...input, addedBy: "add-params-action" };
  say(context, JSON.stringify(output));
  return output;
});

worker.action("log-action", (input, context) => {
  say(context, JSON.stringify(input));
});

// order.json

interface Line {
  readonly product: string;
  readonly quantity: number;
}

worker.action("reserve-stock", (input: { orderId: string; lines: Line[] }, context) => {
  const pieces = input.lines.reduce((sum, { quantity }) => sum + quantity, 0);
  say(context, `${pieces} pieces for order ${input.orderId}`);
  return { reserved: pieces };
});

worker.action("charge-card", (input: { amount: number; text: string }, context) => {
  const { amount, text } = input;
  if (amount > cardLimit) {
    say(context, `declined: ${amount} EUR`);
    const message = `The card does not cover ${amount} EUR.`;
    throw new NonRetryableError("CARD_DECLINED", message, { limit: cardLimit });
  }
  say(context, text);
  return { charged: amount };
});

worker.action("book-courier", (input: { orderId: string; by: string }, context) => {
  say(context, `by ${input.by} for order ${input.orderId}`);
  return { booking: `${input.by}-${input.orderId}` };
});

worker.action("send-mail", (input: { to: string; text: string }, context) => {
  say(context, `to ${input.to}: ${input.text}`);
});

await worker.run().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
