/** What people do with sources: they are saved, read, paused and deleted; so are parked messages. */
import { defined } from "../../base/defined.ts";
import { OrchyError } from "../../base/errors.ts";
import type { BrokerPlaces } from "../../brokers/brokers.ts";
import type { SourceDefinition } from "../../model/source.ts";
import { tellFaults } from "../shared/faults.ts";
import type { SourceService, SourceView } from "../shared/source-service.ts";
import { compileSource } from "./compiled.ts";
import type { NamedSource, SourceDocuments } from "./documents.ts";
import type { SourceLeases } from "./leases.ts";
import type { ParkedMessages } from "./parked.ts";
import type { Sources } from "./sources.ts";

interface Options {
  readonly documents: SourceDocuments;
  readonly leases: SourceLeases;
  readonly parked: ParkedMessages;
  /** Absent: this server reads no sources. */
  readonly reader: Pick<Sources, "statusOf" | "soon"> | undefined;
  readonly brokers: Pick<BrokerPlaces, "reaches"> | undefined;
}

export function sourceServiceOf(options: Options): SourceService {
  const { documents, leases, parked, reader } = options;

  async function viewOf({ name, definition, savedAt, paused }: NamedSource): Promise<SourceView> {
    const lease = await leases.of(name);
    const view = { name, definition, savedAt };
    if (lease === undefined) return { ...view, state: paused ? "paused" : "unheld" };
    const status = reader?.statusOf(name) ?? lease.status;
    return { ...view, state: paused ? "paused" : status.state, server: lease.server, status };
  }

  return {
    save: (name, definition) =>
      tellFaults(async () => {
        mustBeReachable(definition, options.brokers);
        const { source, changed } = await documents.save(name, definition);
        if (changed) reader?.soon();
        return { source: await viewOf(source), changed };
      }),
    get: (name) => tellFaults(async () => viewOf(await documents.mustGet(name))),
    list: (page) =>
      tellFaults(async () => {
        const { items, cursor } = await documents.page(page);
        const views: SourceView[] = [];
        for (const source of items) views.push(await viewOf(source));
        return { items: views, ...defined({ cursor }) };
      }),
    delete: (name) =>
      tellFaults(async () => {
        await documents.delete(name);
        reader?.soon();
        await leases.release(name);
        await parked.deleteAll(name);
      }),
    setPaused: (name, isPaused) =>
      tellFaults(async () => {
        const { source, changed } = await documents.setPaused(name, isPaused);
        if (changed) reader?.soon();
        return { source: await viewOf(source), changed };
      }),
    parked: (name, page) =>
      tellFaults(async () => {
        await documents.mustGet(name);
        return parked.page(name, page);
      }),
    deleteParked: (name, id) => tellFaults(() => parked.delete(name, id)),
  };
}

/** Throws DEFINITION_REFUSED. */
function mustBeReachable(definition: SourceDefinition, brokers: Options["brokers"]): void {
  const { from, deadLetter } = compileSource(definition);
  const problems = Object.entries({ from, deadLetter }).flatMap(([field, address]) => {
    if (address === undefined || brokers?.reaches(address)) return [];
    const message = "This server has no Kafka cluster: start it with --kafka host:port.";
    return [{ pointer: `/${field}`, message }];
  });
  if (problems.length > 0) {
    throw new OrchyError("DEFINITION_REFUSED", "The source is invalid.", problems);
  }
}
