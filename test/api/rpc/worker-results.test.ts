/** Others have their turn while the results of one call are checked. */
import { expect, test } from "bun:test";
import { create } from "@bufbuild/protobuf";
import { checkResults, outputBytesPerTurnMax } from "../../../src/api/rpc/worker-results.ts";
import { TaskResultSchema } from "../../../src/gen/orchy/v1/worker_pb.ts";

async function turnsOf(outputs: readonly string[]): Promise<number> {
  const results = outputs.map((text, index) =>
    create(TaskResultSchema, {
      token: `token ${index}`,
      outputJson: new TextEncoder().encode(text),
    }),
  );
  let turns = 0;
  let isOver = false;
  const turn = () => {
    turns += 1;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  const { sent } = await checkResults(results, new Map());
  isOver = true;
  expect(sent.map(({ outcome }) => outcome)).toEqual(
    outputs.map((output) => ({ ok: true, output })),
  );
  return turns;
}

test("small outputs are checked at once, large ones with turns of others in between", async () => {
  expect(await turnsOf(Array(100).fill("1"))).toBe(0);
  const large = `"${"x".repeat(outputBytesPerTurnMax * 0.6)}"`;
  expect(await turnsOf(Array(4).fill(large))).toBe(3);
  const larger = `"${"x".repeat(outputBytesPerTurnMax)}"`;
  expect(await turnsOf(["1", larger, larger, "2"])).toBe(3);
});
