/** Bounds of removal: what one call deletes, and how fast ended tombstones go. */

/** Most rows that one call of `remove` deletes; what is left is deleted by further calls. */
export const removeRowsMax = 500;

/** Ended tombstones purged by one claimDue; while more are left, it requests another call. */
export const purgedPerClaim = 100;

/** Ended tombstones purged by each removal: they go faster than they come. */
export const purgedPerRemoval = 2;
