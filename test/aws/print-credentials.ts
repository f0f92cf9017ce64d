/** Prints what a process with this environment finds, and whether it loaded the library for it. */
import { findCredentials } from "../../src/aws/credentials.ts";
import { findRegion } from "../../src/aws/region.ts";
import { systemClock } from "../../src/base/clock.ts";

const source = findCredentials(systemClock);
const found = await Promise.resolve(source.current()).catch(({ message }) => ({ error: message }));
const isLoaded = Object.keys(require.cache).some((path) => path.includes("/@aws-sdk/"));
console.log(JSON.stringify({ found, isLoaded, region: (await findRegion()) ?? null }));
