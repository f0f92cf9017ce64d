/** The clients that run the scenario: which library, by which port, and what it cannot do. */
import { type Client, openBridge, openCurl, type Trust } from "./client.ts";
import {
  goProgram,
  javaProgram,
  missing,
  prepareGo,
  prepareJava,
  preparePython,
  pythonEnvironment,
  pythonProgram,
  type Skip,
} from "./toolchains.ts";

/** Parts of the scenario that not every library can do. */
export type Feature = "one connection" | "pings";

export interface Kind {
  readonly name: string;
  readonly port: "http" | "grpc";
  /** Why it cannot run on this machine. */
  readonly skip: Skip;
  /** Why its library cannot do a part of the scenario. */
  readonly cannot: Partial<Record<Feature, string>>;
  /** With files of certificates it speaks TLS. */
  open(address: string, trust?: Trust): Promise<Client>;
}

const oneAtATime = "HTTP/1.1 carries one call at a time on a connection";
const http1 = { "one connection": oneAtATime, pings: "HTTP/1.1 has no pings" };

/** The same names in every language, each with its own dashes. */
function trustFlags(dashes: string, trust: Trust | undefined): string[] {
  if (trust === undefined) return [];
  const [certificate, key] = trust.own ?? [];
  const own = certificate && key ? [`${dashes}cert`, certificate, `${dashes}key`, key] : [];
  return [`${dashes}ca`, trust.authority, ...own];
}

export async function findKinds(): Promise<readonly Kind[]> {
  const go = await prepareGo();
  const python = await preparePython();
  const java = await prepareJava();
  const goKind = (name: string, protocol: string, port: Kind["port"], cannot = {}): Kind => ({
    name,
    port,
    skip: go,
    cannot,
    async open(address, trust) {
      const flags = ["-protocol", protocol, "-address", address, ...trustFlags("-", trust)];
      return openBridge([goProgram("bridge"), ...flags]);
    },
  });
  const pythonKind = (name: string, protocol: string, port: Kind["port"], cannot = {}): Kind => ({
    name,
    port,
    skip: python,
    cannot,
    async open(address, trust) {
      const flags = ["--protocol", protocol, "--address", address, ...trustFlags("--", trust)];
      return openBridge([...pythonProgram("bridge.py"), ...flags], pythonEnvironment);
    },
  });
  return [
    goKind("Go with grpc-go", "grpc", "grpc"),
    goKind("Go with connect-go", "connect", "http"),
    goKind("Go with connect-go, JSON over HTTP/1.1", "connect-json", "http", http1),
    goKind("Go with connect-go, gRPC", "connect-grpc", "grpc"),
    goKind("Go with connect-go, gRPC-Web", "grpc-web", "http"),
    pythonKind("Python with grpcio", "grpc", "grpc"),
    pythonKind("Python with plain HTTP", "http", "http", http1),
    {
      name: "Java with grpc-java",
      port: "grpc",
      skip: java,
      cannot: {},
      async open(address, trust) {
        const files = trust === undefined ? [] : [trust.authority, ...(trust.own ?? [])];
        return openBridge([...(await javaProgram("Bridge")), address, ...files]);
      },
    },
    {
      name: "curl",
      port: "http",
      skip: missing("curl"),
      cannot: http1,
      async open(address, trust) {
        return openCurl(address, trust);
      },
    },
  ];
}
