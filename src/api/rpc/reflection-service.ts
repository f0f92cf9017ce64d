/** grpc.reflection: lists the services, and their descriptors, for tools such as grpcurl. */
import { create, type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import {
  ErrorResponseSchema,
  FileDescriptorResponseSchema,
  ListServiceResponseSchema,
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import type { Access } from "../access.ts";
import { rpcError, toConnectError } from "./rpc-error.ts";
import { peerKey } from "./services.ts";

async function admit(access: Access, context: HandlerContext): Promise<void> {
  const { requestHeader, url, values } = context;
  const authorization = requestHeader.get("authorization");
  const address = () => values.get(peerKey)().address;
  try {
    await access.admit("key", { authorization, address, call: url });
  } catch (error) {
    throw toConnectError(rpcError(error, url, undefined));
  }
}

type Answer = ServerReflectionResponse["messageResponse"];

/** The name that older tools use; the messages are the same. */
const olderName = "grpc.reflection.v1alpha.ServerReflection";

export function routeReflection(
  router: ConnectRouter,
  described: readonly DescService[],
  access: Access,
): void {
  const services = [...described, ServerReflection];
  const index = indexFiles(services.map(({ file }) => file));
  const names = services.map(({ typeName }) => ({ name: typeName }));

  async function* info(requests: AsyncIterable<ServerReflectionRequest>, context: HandlerContext) {
    await admit(access, context);
    for await (const request of requests) {
      yield create(ServerReflectionResponseSchema, {
        validHost: request.host,
        originalRequest: request,
        messageResponse: answer(request.messageRequest, index, names),
      });
    }
  }

  const method = ServerReflection.method.serverReflectionInfo;
  router.rpc(method, info);
  router.rpc({ ...method, parent: { ...ServerReflection, typeName: olderName } }, info);
}

function answer(
  request: ServerReflectionRequest["messageRequest"],
  index: FileIndex,
  names: readonly { readonly name: string }[],
): Answer {
  switch (request.case) {
    case "listServices": {
      const value = create(ListServiceResponseSchema, { service: [...names] });
      return { case: "listServicesResponse", value };
    }
    case "fileByFilename":
      return fileAnswer(index.byName.get(request.value), request.value);
    case "fileContainingSymbol":
      return fileAnswer(index.bySymbol.get(request.value), request.value);
    case "allExtensionNumbersOfType":
    case "fileContainingExtension":
      return failure(Code.NotFound, "No message of this server has extensions.");
    default:
      return failure(
        Code.InvalidArgument,
        "The request is empty. Set one of its fields, such as list_services.",
      );
  }
}

function failure(errorCode: Code, errorMessage: string): Answer {
  const value = create(ErrorResponseSchema, { errorCode, errorMessage });
  return { case: "errorResponse", value };
}

function fileAnswer(file: DescFile | undefined, asked: string): Answer {
  if (file === undefined)
    return failure(Code.NotFound, `No service, method or type is named ${asked.slice(0, 300)}.`);
  const fileDescriptorProto = withImports(file).map((each) =>
    toBinary(FileDescriptorProtoSchema, each.proto),
  );
  const value = create(FileDescriptorResponseSchema, { fileDescriptorProto });
  return { case: "fileDescriptorResponse", value };
}

/** The file first, then what it imports, each once. */
function withImports(file: DescFile, seen = new Set<DescFile>()): DescFile[] {
  if (!seen.has(file)) {
    seen.add(file);
    for (const imported of file.dependencies) withImports(imported, seen);
  }
  return [...seen];
}

interface FileIndex {
  readonly byName: ReadonlyMap<string, DescFile>;
  readonly bySymbol: ReadonlyMap<string, DescFile>;
}

function indexFiles(roots: readonly DescFile[]): FileIndex {
  const byName = new Map<string, DescFile>();
  const bySymbol = new Map<string, DescFile>();
  for (const file of new Set(roots.flatMap((root) => withImports(root)))) {
    byName.set(file.proto.name, file);
    for (const service of file.services) {
      bySymbol.set(service.typeName, file);
      for (const { name } of service.methods) bySymbol.set(`${service.typeName}.${name}`, file);
    }
    const nested = [...file.messages];
    for (let message = nested.pop(); message !== undefined; message = nested.pop()) {
      bySymbol.set(message.typeName, file);
      for (const { name } of message.fields) bySymbol.set(`${message.typeName}.${name}`, file);
      for (const { typeName } of message.nestedEnums) bySymbol.set(typeName, file);
      nested.push(...message.nestedMessages);
    }
    for (const { typeName } of file.enums) bySymbol.set(typeName, file);
  }
  return { byName, bySymbol };
}
