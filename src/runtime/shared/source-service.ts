/** What the edge calls for sources. */
import type {
  ParkedMessage,
  SourceDefinition,
  SourceState,
  SourceStatus,
} from "../../model/source.ts";

/** Of a list by name. */
export interface SourcePage<Item> {
  readonly items: readonly Item[];
  /** Absent on the last page. */
  readonly cursor?: string;
}

/** A source as people read it. */
export interface SourceView {
  readonly name: string;
  readonly definition: SourceDefinition;
  readonly savedAt: number;
  readonly state: SourceState;
  /** Name of the server that reads it. */
  readonly server?: string;
  /** As that server has said last. */
  readonly status?: SourceStatus;
}

/** They throw OrchyError; faults of the store come as its codes. */
export interface SourceService {
  /** `changed` false: it was saved like this before. */
  save(
    name: string,
    definition: SourceDefinition,
  ): Promise<{ readonly source: SourceView; readonly changed: boolean }>;
  get(name: string): Promise<SourceView>;
  list(page: { limit: number; cursor?: string }): Promise<SourcePage<SourceView>>;
  /** With the messages that are parked. */
  delete(name: string): Promise<void>;
  /** `changed` false: it was so before. */
  setPaused(
    name: string,
    isPaused: boolean,
  ): Promise<{ readonly source: SourceView; readonly changed: boolean }>;
  parked(
    name: string,
    page: { limit: number; cursor?: string },
  ): Promise<SourcePage<ParkedMessage>>;
  deleteParked(name: string, id: string): Promise<void>;
}
