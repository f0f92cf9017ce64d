/** The version of this package, as servers show it. */
import manifest from "../../package.json" with { type: "json" };

export const version: string = manifest.version;
