/** The route table of REST. */
import { dataRoutes } from "./data-routes.ts";
import { executionRoutes } from "./execution-routes.ts";
import { explainRoutes } from "./explain-routes.ts";
import { keyRoutes } from "./key-routes.ts";
import { legacyRoutes } from "./legacy-routes.ts";
import { operationRoutes } from "./operation-routes.ts";
import type { Route } from "./route.ts";
import { selfRoutes, serverRoutes } from "./server-routes.ts";
import { sourceRoutes } from "./source-routes.ts";
import { ticketRoutes } from "./ticket-routes.ts";
import { actionRoutes, workflowRoutes } from "./workflow-routes.ts";

export function allRoutes(): readonly Route[] {
  const routes: readonly Route[] = [
    ...workflowRoutes,
    ...actionRoutes,
    ...executionRoutes,
    ...explainRoutes,
    ...dataRoutes,
    ...operationRoutes,
    ...ticketRoutes,
    ...serverRoutes,
    ...sourceRoutes,
    ...keyRoutes,
    ...legacyRoutes,
    ...selfRoutes(() => routes),
  ];
  return routes;
}
