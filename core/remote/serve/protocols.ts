/** The services that every gRPC server should have, as their .proto files define them. */
import { fileURLToPath } from "node:url";
import type { ServiceDefinition } from "@grpc/grpc-js";
import protobuf from "protobufjs";

const protoOf = (name: string): string => fileURLToPath(new URL(`../../../../proto/${name}`, import.meta.url));

/** What a file defines, with the names as written in it. */
export function loadProto(name: string): protobuf.Root {
  const root = new protobuf.Root();
  root.loadSync(protoOf(name), { keepCase: true }).resolveAll();
  return root;
}

/** A service as gRPC wants it. `path`: under which it is called, where that is not its name. */
export function serviceOf(root: protobuf.Root, name: string, path = name): ServiceDefinition {
  const methods = root.lookupService(name).methodsArray.map((method) => {
    const { resolvedRequestType: request, resolvedResponseType: response } = method;
    return [
      method.name,
      {
        path: `/${path}/${method.name}`,
        requestStream: method.requestStream === true,
        responseStream: method.responseStream === true,
        requestSerialize: encoder(request!),
        requestDeserialize: decoder(request!),
        responseSerialize: encoder(response!),
        responseDeserialize: decoder(response!),
      },
    ];
  });
  return Object.fromEntries(methods) as ServiceDefinition;
}

export function encoder(type: protobuf.Type): (message: object) => Buffer {
  return (message) => type.encode(type.create(message)).finish() as Buffer;
}

function decoder(type: protobuf.Type): (bytes: Buffer) => object {
  return (bytes) => type.toObject(type.decode(bytes));
}
