/** The parts of sources put together: what reads them, and what people call. */
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import type { BrokerPlaces } from "../../brokers/brokers.ts";
import { paceOf } from "../shared/pace.ts";
import type { SourceService } from "../shared/source-service.ts";
import { SourceDocuments } from "./documents.ts";
import { SourceLeases } from "./leases.ts";
import { ParkedMessages } from "./parked.ts";
import { sourceServiceOf } from "./service.ts";
import { Sources, type SourcesOptions } from "./sources.ts";

type Options = Omit<SourcesOptions, "brokers" | "documents" | "leases" | "parked"> & {
  /** Absent: this server reads no sources. */
  readonly brokers: BrokerPlaces | undefined;
};

export function openSources(options: Options): {
  readonly reader?: Sources;
  readonly service: SourceService;
} {
  const { store, clock, brokers } = options;
  const { sourceLookMs } = paceOf(store.traits);
  const leaseMs = (limits.sourceLooksMissed + 0.5) * sourceLookMs;
  const parts = {
    documents: new SourceDocuments({ store, clock }),
    leases: new SourceLeases({ store, clock, leaseMs }),
    parked: new ParkedMessages({ store, clock }),
  };
  const reader = brokers && new Sources({ ...options, ...parts, brokers });
  const service = sourceServiceOf({ ...parts, brokers, reader });
  return { service, ...defined({ reader }) };
}
