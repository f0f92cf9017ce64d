/**
 * What every RPC service sees of a call, whichever protocol and port it came by, and how a service
 * is handed to those that serve it.
 */
import type {
  DescMethodStreaming,
  DescMethodUnary,
  DescService,
  Message,
  MessageShape,
} from "@bufbuild/protobuf";
import type { Caller, Sender } from "../caller.ts";

/** The caller, as far as the connection shows. */
export interface Peer {
  /** IP address; undefined when the connection is already gone. */
  readonly address: string | undefined;
  /** The connection is TLS, and its client certificate was verified. */
  readonly verified: boolean;
}

export interface CallContext {
  /** Fires when the caller is gone, or its deadline has passed. */
  readonly signal: AbortSignal;
  /** What is left of the caller's deadline; undefined: it named none. */
  readonly timeoutMs: number | undefined;
  peer(): Peer;
  readonly caller: Caller;
  /** It came as JSON, and gets JSON. */
  readonly json: boolean;
  /** For calls that last: throws when the caller's key has been revoked meanwhile. */
  stillAdmitted(): Promise<void>;
}

/** One function for each unary method of a service; refusals are thrown as OrchyError. */
export type UnaryMethods<Service extends DescService> = {
  readonly [Name in keyof Service["method"]]: Service["method"][Name] extends DescMethodUnary<
    infer Input,
    infer Output
  >
    ? (request: MessageShape<Input>, call: CallContext) => Promise<MessageShape<Output>>
    : never;
};

export interface MountedMethod {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly method: DescMethodUnary;
  /**
   * Finds the caller's key, before anything of the call is decoded. Throws what access.admit does.
   */
  readonly admit: Admit;
  readonly run: (request: Message, call: CallContext) => Promise<Message>;
}

export type Admit = (sender: Sender, peer: () => Peer) => Caller | Promise<Caller>;

/** Ties the functions of a service to its methods, whose types are known only here. */
export function mount<Service extends DescService>(
  service: Service,
  methods: UnaryMethods<Service>,
  admit: Admit,
): readonly MountedMethod[] {
  return service.methods.map((method) => {
    if (!isUnary(method)) throw new Error(`${service.typeName}.${method.name} is not unary`);
    const run = methods[
      method.localName as keyof typeof methods
    ] as unknown as MountedMethod["run"];
    return { path: `/${service.typeName}/${method.name}`, method, admit, run };
  });
}

function isUnary(method: DescMethodUnary | DescMethodStreaming): method is DescMethodUnary {
  return method.methodKind === "unary";
}

/** Of a call of gRPC or gRPC-Web. */
export function isJson(header: Headers): boolean {
  return header.get("content-type")?.toLowerCase().includes("+json") ?? false;
}

export function senderOf(
  authorization: string | null,
  peer: () => Peer,
  { path }: MountedMethod,
): Sender {
  return { authorization, address: () => peer().address, call: path };
}
