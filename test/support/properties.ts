/**
 * Property tests draw the same examples in every run, so that a change is judged by what it does.
 * Another seed looks further: `SEED=7 npm test -- test/language`. Loaded before every test file.
 */
import fc from "fast-check";

fc.configureGlobal({ seed: Number(process.env.SEED ?? 1) });
