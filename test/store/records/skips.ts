/** What the suites of the contract do not ask of the records store. */
const roughly = "it claims roughly in order";
const uncounted = "it does not count tombstones";
const unlisted = "it lists no timers, as only early removals need that";

/** For `storeConformance`, on any driver. */
export const recordsConformance = {
  skip: [
    { test: "a released task goes to the front among equals", reason: roughly },
    { test: "tombstones are counted", reason: uncounted },
    { test: "each removal purges more ended tombstones than it makes", reason: uncounted },
    {
      test: "while ended tombstones are left, claimDue asks to be called again",
      reason: uncounted,
    },
    { test: "timers are listed in order, in pages, whether due or not", reason: unlisted },
    {
      test: "a listed timer stands where it is hidden or moved to; others do not stand",
      reason: unlisted,
    },
    {
      test: "a large execution is removed in chunks, behind its tombstone",
      reason: "what is large here stands in few parts",
    },
  ],
};
