/** A task as workers are given it. */
import type { TaskHeader } from "../../model/task-header.ts";
import type { LeasedTask } from "../../store/store.ts";

/** A leased task with its header read. */
export interface PolledTask extends LeasedTask {
  readonly about: TaskHeader;
}
