/** The clients that run the scenario: which library, by which port, and what it cannot do. */
import { type Client, openBridge, openCurl } from "./client.ts";
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
  /** With an authority, the file of a certificate to trust, it speaks TLS. */
  open(address: string, authority?: string): Promise<Client>;
}

const oneAtATime = "HTTP/1.1 carries one call at a time on a connection";
const http1 = { "one connection": oneAtATime, pings: "HTTP/1.1 has no pings" };

export async function findKinds(): Promise<readonly Kind[]> {
  const go = await prepareGo();
  const python = await preparePython();
  const java = await prepareJava();
  const goKind = (name: string, protocol: string, port: Kind["port"], cannot = {}): Kind => ({
    ...{ name, port, skip: go, cannot },
    async open(address, authority) {
      const trust = authority === undefined ? [] : ["-ca", authority];
      const flags = ["-protocol", protocol, "-address", address, ...trust];
      return openBridge([goProgram("bridge"), ...flags]);
    },
  });
  const pythonKind = (name: string, protocol: string, port: Kind["port"], cannot = {}): Kind => ({
    ...{ name, port, skip: python, cannot },
    async open(address, authority) {
      const trust = authority === undefined ? [] : ["--ca", authority];
      const flags = ["--protocol", protocol, "--address", address, ...trust];
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
      ...{ name: "Java with grpc-java", port: "grpc", skip: java, cannot: {} },
      async open(address, authority) {
        const trust = authority === undefined ? [] : [authority];
        return openBridge([...(await javaProgram("Bridge")), address, ...trust]);
      },
    },
    {
      ...{ name: "curl", port: "http", skip: missing("curl"), cannot: http1 },
      async open(address, authority) {
        return openCurl(address, authority);
      },
    },
  ];
}
