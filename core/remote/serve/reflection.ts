/** grpc.reflection.v1, and v1alpha for older tools: the server describes its services, so that grpcurl needs no .proto file. */
import grpc from "@grpc/grpc-js";
import { describe, type FileDescriptor } from "./describe.js";
import { encoder, loadProto, serviceOf } from "./protocols.js";

const name = "grpc.reflection.v1.ServerReflection";

interface Request {
  readonly file_by_filename?: string;
  readonly file_containing_symbol?: string;
  readonly list_services?: string;
}

/** Describes what these files define; none of them needs another. */
export function addReflection(server: grpc.Server, files: readonly string[]): void {
  const own = loadProto("grpc/reflection.proto");
  const described = [...files, "grpc/reflection.proto"].map((file) => describe(loadProto(file), file));
  const encode = encoder(loadProto("grpc/descriptor.proto").lookupType("google.protobuf.FileDescriptorProto"));
  const answer = (request: Request): object => ({ original_request: request, ...answerOf(request, described, encode) });
  for (const path of [name, "grpc.reflection.v1alpha.ServerReflection"]) {
    server.addService(serviceOf(own, name, path), {
      ServerReflectionInfo: (call: grpc.ServerDuplexStream<Request, object>): void => {
        call.on("data", (request: Request) => void call.write(answer(request)));
        call.on("end", () => call.end());
      },
    });
  }
}

function answerOf(request: Request, files: readonly FileDescriptor[], encode: (file: object) => Buffer): object {
  if (request.list_services !== undefined) {
    const services = files.flatMap((file) =>
      file.service.map((service) => ({ name: `${file.package}.${service.name}` })),
    );
    return { list_services_response: { service: services } };
  }
  const { file_by_filename: path, file_containing_symbol: symbol } = request;
  const found =
    path === undefined
      ? files.find((file) => symbol !== undefined && file.symbols.has(symbol))
      : files.find((file) => file.name === path);
  if (found !== undefined) return { file_descriptor_response: { file_descriptor_proto: [encode(found)] } };
  const what = path ?? symbol ?? "extensions";
  return { error_response: { error_code: grpc.status.NOT_FOUND, error_message: `there is no ${what} here` } };
}
