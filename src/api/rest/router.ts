/** Finds the route of a request. Paths are few and short, so a look by shape is all it takes. */
import { OrchyError } from "../../base/errors.ts";
import { nearest } from "../../base/nearest.ts";
import type { Route, Style } from "./route.ts";

interface Match {
  readonly route: Route;
  /** Decoded, not checked yet. */
  readonly params: ReadonlyMap<string, string>;
  /**
   * Of the route that fits the path best, whatever the method: the server's own router knows no
   * more.
   */
  readonly nearest: string;
}

interface Router {
  /** HEAD is routed as GET. Throws NOT_FOUND or METHOD_NOT_ALLOWED. */
  match(method: string, path: string): Match;
  /** How to refuse a request to a path that may have no route. */
  styleOf(path: string): Style;
}

interface Entry {
  readonly route: Route;
  readonly segments: readonly string[];
}

const legacyRoots = ["workflow", "metadata", "flow", "execution", "event"];

export function createRouter(routes: readonly Route[]): Router {
  // The nearest first: a literal segment is nearer than a parameter.
  const entries = routes
    .map((route): Entry => ({ route, segments: route.path.split("/") }))
    .sort((one, other) => parameterCount(one) - parameterCount(other));
  const byLength = Map.groupBy(entries, ({ segments }) => segments.length);

  function candidates(segments: readonly string[]): readonly Entry[] {
    return (byLength.get(segments.length) ?? []).filter(({ segments: own }) =>
      own.every((one, i) => isParameter(one) || one === segments[i]),
    );
  }

  return {
    styleOf: (path) => (legacyRoots.includes(path.split("/")[1] ?? "") ? "legacy" : "v1"),
    match(method, path) {
      const segments = path.split("/");
      const fitting = candidates(segments);
      if (fitting.length === 0) throw notFound(path, routes);
      // An id that equals a segment of another route is still reached by that route's other
      // methods.
      const entry = fitting.find(({ route }) => serves(route, method));
      if (!entry) throw methodNotAllowed(method, fitting);
      const { path: nearest } = fitting[0]!.route;
      return { route: entry.route, params: readParameters(entry, segments), nearest };
    },
  };
}

function parameterCount({ segments }: Entry): number {
  return segments.filter(isParameter).length;
}

function isParameter(segment: string): boolean {
  return segment.startsWith("{");
}

function serves(route: Route, method: string): boolean {
  return route.method === method || (method === "HEAD" && route.method === "GET" && !route.changes);
}

function readParameters(entry: Entry, segments: readonly string[]): Map<string, string> {
  const params = new Map<string, string>();
  for (const [i, segment] of entry.segments.entries()) {
    if (!isParameter(segment)) continue;
    const name = segment.slice(1, -1);
    try {
      params.set(name, decodeURIComponent(segments[i]!));
    } catch {
      throw new OrchyError("INVALID_ARGUMENT", "The path is invalid.", [
        { pointer: segment, message: "Its percent-encoding is not valid UTF-8." },
      ]);
    }
  }
  return params;
}

function notFound(path: string, routes: readonly Route[]): OrchyError {
  const paths = [...new Set(routes.map((route) => route.path))];
  // What stands in the place of a parameter says nothing about which route was meant.
  const given = path.split("/");
  const near = paths.filter((one) => one.split("/").length === given.length);
  const filled = near.map((one) =>
    one
      .split("/")
      .map((segment, i) => (isParameter(segment) ? given[i] : segment))
      .join("/"),
  );
  const meant = nearest(path, filled);
  const hint =
    meant !== undefined
      ? `did you mean ${near[filled.indexOf(meant)]}?`
      : "/openapi.json lists all routes.";
  return new OrchyError("NOT_FOUND", `Unknown route; ${hint}`);
}

function methodNotAllowed(method: string, fitting: readonly Entry[]): OrchyError {
  const methods = fitting.map(({ route }) => route.method as string);
  if (fitting.some(({ route }) => serves(route, "HEAD"))) methods.push("HEAD");
  const allow = methods.join(", ");
  const message = `This route does not support ${method}. Use ${allow}.`;
  return new OrchyError("METHOD_NOT_ALLOWED", message, [], { allow });
}
