/** Writes the generated tables into docs/: see documents/tables.ts. `npm run generate` runs it. */
import { writeFile } from "node:fs/promises";
import { readDocuments } from "./documents/tables.ts";

const changed = (await readDocuments()).filter(({ text, wanted }) => text !== wanted);
for (const { path, wanted } of changed) await writeFile(path, wanted);
console.log(`docs: ${changed.length} files changed`);
