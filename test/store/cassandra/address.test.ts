/** URLs of Cassandra stores: what they name, and what is wrong with those that name nothing. */
import { expect, test } from "bun:test";
import { parseCassandraUrl } from "../../../src/store/cassandra/address.ts";

test("a URL names hosts, a port, a keyspace, a data centre and a role", () => {
  expect(parseCassandraUrl("cassandra://a,b,c/orchy?dc=dc1")).toEqual({
    hosts: ["a", "b", "c"],
    port: 9042,
    keyspace: "orchy",
    datacenter: "dc1",
    tls: false,
  });
  expect(
    parseCassandraUrl("cassandra://us%40er:p%2F@[::1]:9142/k_2?dc=eu%20west&tls=true"),
  ).toEqual({
    hosts: ["::1"],
    port: 9142,
    keyspace: "k_2",
    datacenter: "eu west",
    username: "us@er",
    password: "p/",
    tls: true,
  });
});

test.each([
  ["cassandra://a/orchy", "must name the data centre"],
  ["cassandra://a?dc=x", "must end with /<keyspace>"],
  ["cassandra://a/Orchy?dc=x", "must end with /<keyspace>"],
  ["cassandra://a/orchy/more?dc=x", "must end with /<keyspace>"],
  ["cassandra:///orchy?dc=x", "must name hosts"],
  ["cassandra://a:99999/orchy?dc=x", "must name hosts"],
  ["cassandra://a:1,b:2/orchy?dc=x", "must name the same port"],
  ["cassandra://%zz@a/orchy?dc=x", "has a broken escape"],
  ["cassandra://a/orchy?dc=x&rf=3", "has the unknown parameter rf"],
  ["cassandra://a/orchy?dc=x&tls=1", "has a tls that is not true or false"],
])("%s %s", (url, problem) => {
  const parsed = parseCassandraUrl(url);
  expect("problem" in parsed && parsed.problem).toStartWith(problem);
});
