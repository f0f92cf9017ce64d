import { limits } from "../../base/limits.ts";

/**
 * One level of JSON in a Struct takes up to three nested messages; deeper ones cannot be told apart
 * from garbage, and cost the whole call.
 */
export const recursionLimit = 4 * limits.jsonDepthMax;
