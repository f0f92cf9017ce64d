/** Random operations on the memory store and on every kind of Redis, answer by answer. */
import { redisDifferential, seedsFrom } from "./differential/suites.ts";

redisDifferential(seedsFrom(1_000, 100));
