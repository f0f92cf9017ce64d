/**
 * Mistakes that the records store could contain, made on purpose between it and its driver: each one
 * breaks a rule of docs/design/store.md ("Records"), and proves that the simulation would find it.
 */
import type {
  Aggregates,
  Change,
  Entry,
  HeadRecord,
  Place,
  RecordsDriver,
  Shelves,
} from "../../src/store/records/driver.ts";
import type { Mistake } from "./simulation.ts";

function withAggregates(driver: RecordsDriver, changes: Partial<Aggregates>): RecordsDriver {
  const { aggregates } = driver;
  return { ...driver, aggregates: { ...bound(aggregates), ...changes } };
}

function withShelves(driver: RecordsDriver, changes: Partial<Shelves>): RecordsDriver {
  return { ...driver, shelves: { ...bound(driver.shelves), ...changes } };
}

/** Its methods as members, so that some can be replaced. */
function bound<Part extends object>(part: Part): Part {
  return new Proxy(part, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
    ownKeys: () => [
      ...["read", "readHeads", "change", "putParts", "readParts", "dropParts", "listParts"],
      ...["post", "strike", "scan", "count"],
    ],
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
  });
}

/** Names of parts that a head refers to. */
function partsOf(head: HeadRecord | undefined): ReadonlySet<string> {
  const [fields = ""] = head?.body.split("\n", 1) ?? [];
  return new Set(fields.match(/"[^"]+\/[0-9a-z]{8}\.[^"]+"/g)?.map((name) => name.slice(1, -1)));
}

export const recordsMistakes: readonly Mistake[] = [
  {
    name: "the head is written before the hints that lead to it",
    wrapDriver(driver) {
      const waiting: Parameters<Shelves["post"]>[0][number][] = [];
      const { aggregates, shelves } = driver;
      const change = async (request: Change) => {
        const posts = waiting.splice(0);
        const answer = await aggregates.change(request);
        if (posts.length > 0) await shelves.post(posts);
        return answer;
      };
      const post = async (hints: Parameters<Shelves["post"]>[0]) => void waiting.push(...hints);
      return withShelves(withAggregates(driver, { change }), { post });
    },
  },
  {
    name: "a hint is struck although the write that it is for may be under way",
    wrapDriver(driver) {
      const { shelves } = driver;
      const reached = ({ place, body }: Entry) => ({
        place,
        body: body.replace(/"v":\d+/, '"v":1'),
      });
      return withShelves(driver, {
        async scan(request) {
          const { entries, more } = await shelves.scan(request);
          const isList = request.shelf.kind === "list";
          return { entries: isList ? entries : entries.map(reached), more };
        },
      });
    },
  },
  {
    name: "the version of the head is not compared",
    wrapDriver(driver) {
      const { aggregates } = driver;
      return withAggregates(driver, {
        async change(request) {
          const { key, head } = request;
          if (head.kind !== "write" || head.expected === null) return aggregates.change(request);
          const found = await aggregates.read({ key });
          const expected = found.head?.version ?? head.expected;
          const version = Math.max(head.next.version, expected + 1);
          const next = { ...head.next, version };
          return aggregates.change({ ...request, head: { ...head, expected, next } });
        },
      });
    },
  },
  {
    name: "a task that is released is posted under its old place",
    wrapDriver(driver) {
      const { shelves } = driver;
      const places = new Map<string, Place>();
      const old = (hint: Parameters<Shelves["post"]>[0][number]) => {
        const { shelf, entry } = hint;
        if (!shelf.name.startsWith("queue/")) return hint;
        const { e, t } = JSON.parse(entry.body) as { e: string; t?: string };
        const name = `${shelf.partition}/${shelf.name}/${e}/${t}`;
        const place = places.get(name) ?? entry.place;
        places.set(name, place);
        return { shelf, entry: { ...entry, place } };
      };
      return withShelves(driver, { post: (hints) => shelves.post(hints.map(old)) });
    },
  },
  {
    name: "a part is dropped before the head that refers to it is replaced",
    wrapDriver(driver) {
      const { aggregates } = driver;
      return withAggregates(driver, {
        async change(request) {
          const { key, head } = request;
          if (head.kind !== "write" || head.expected === null) return aggregates.change(request);
          const kept = partsOf(head.next);
          const found = await aggregates.read({ key });
          const gone = [...partsOf(found.head)].filter((name) => !kept.has(name));
          const names = gone.map((name) => `${name}/0`);
          if (names.length > 0) await aggregates.dropParts(key, names);
          return aggregates.change(request);
        },
      });
    },
  },
  {
    name: "the parts of a creation that never came are left behind",
    wrapDriver: (driver) => withAggregates(driver, { listParts: async () => [] }),
  },
];
