/** What the URL of a Cassandra store names: nodes to begin with, a keyspace, a data centre. */
import { type NodeAddress, readCredentials, readNode } from "../kit/node-address.ts";

export interface CassandraAddress {
  /** Some nodes; the others are found through them. */
  readonly hosts: readonly [string, ...string[]];
  /** The same on all nodes. */
  readonly port: number;
  readonly keyspace: string;
  readonly datacenter: string;
  readonly username?: string;
  readonly password?: string;
  readonly tls: boolean;
}

const defaultPort = 9042;
const keyspacePattern = /^[a-z][a-z0-9_]{0,47}$/;
const parameters = ["dc", "tls"];

/** Returns the end of a sentence that begins with the URL; the URL itself may hold a password. */
export function parseCassandraUrl(url: string): CassandraAddress | { readonly problem: string } {
  const [, rest = "", queryText = ""] = /^cassandra:\/\/([^?]*)(?:\?(.*))?$/s.exec(url) ?? [];
  const at = rest.lastIndexOf("@");
  const credentials = readCredentials(rest.slice(0, Math.max(0, at)));
  if (credentials === undefined) return { problem: "has a broken escape in its user or password" };
  const [hostsText = "", keyspace = "", ...more] = rest.slice(at + 1).split("/");
  const nodes = hostsText.split(",").map((text) => readNode(text, defaultPort));
  const [first, ...others] = nodes;
  if (first === undefined || !nodes.every((node) => node !== undefined)) {
    return { problem: "must name hosts, with commas between several: cassandra://a,b,c/keyspace" };
  }
  const { port } = first;
  if (others.some((node) => node?.port !== port)) {
    return { problem: "must name the same port for every host: Cassandra's nodes share one" };
  }
  if (more.length > 0 || !keyspacePattern.test(keyspace)) {
    return {
      problem:
        "must end with /<keyspace>, a name of at most 48 small letters, digits and _ that begins " +
        "with a letter",
    };
  }
  const query = new URLSearchParams(queryText);
  const unknown = [...query.keys()].find((name) => !parameters.includes(name));
  if (unknown !== undefined) {
    return { problem: `has the unknown parameter ${unknown}; it takes dc and tls` };
  }
  const datacenter = query.get("dc") ?? "";
  if (datacenter === "") {
    return { problem: "must name the data centre of this server's nodes: …/keyspace?dc=<name>" };
  }
  const tls = query.get("tls") ?? "false";
  if (tls !== "true" && tls !== "false") return { problem: "has a tls that is not true or false" };
  const [host, ...hosts] = nodes.map((node) => (node as NodeAddress).host);
  return {
    hosts: [host!, ...hosts],
    port,
    keyspace,
    datacenter,
    tls: tls === "true",
    ...credentials,
  };
}
