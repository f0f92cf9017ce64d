import { limits } from "../../base/limits.ts";

/**
 * One level of JSON in a Struct takes up to three nested messages; deeper ones look like garbage,
 * and cost the whole call.
 */
export const recursionLimit = 4 * limits.jsonDepthMax;
