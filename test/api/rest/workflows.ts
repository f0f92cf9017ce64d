/** Definitions that the tests of the edge use. */

/** One task for a worker. */
export const greet = {
  name: "greet",
  rootAction: 1,
  actions: [{ id: 1, type: "user", name: "say-hello", parameters: { to: "{$.input.name}" } }],
};

/** Ends at once, with its input as result. */
export const echo = {
  name: "echo",
  rootAction: "copy",
  actions: [{ id: "copy", type: "system", name: "transform", parameters: "$.input" }],
};

/** Waits for the event `go`. */
export const waiting = {
  name: "waiting",
  rootAction: 3,
  actions: [{ id: 3, type: "system", name: "wait", event: "go" }],
};

/** A delay that no test outlives. */
export const delaying = {
  name: "delaying",
  rootAction: 7,
  actions: [{ id: 7, type: "system", name: "delay", delaySeconds: 3600 }],
};
