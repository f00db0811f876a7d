/** What a .proto file defines, as a google.protobuf.FileDescriptorProto: complete for what our own files use. */
import protobuf from "protobufjs";

export interface FileDescriptor {
  readonly name: string;
  readonly package: string;
  readonly syntax: string;
  readonly message_type: object[];
  readonly enum_type: object[];
  readonly service: { readonly name: string }[];
  /** Full names of all that is defined. */
  readonly symbols: ReadonlySet<string>;
}

/** Numbers of google.protobuf.FieldDescriptorProto.Type. */
const types: Readonly<Record<string, number>> = {
  double: 1,
  float: 2,
  int64: 3,
  uint64: 4,
  int32: 5,
  bool: 8,
  string: 9,
  message: 11,
  bytes: 12,
  uint32: 13,
  enum: 14,
};
const optional = 1;
const repeated = 3;

export function describe(root: protobuf.Root, name: string): FileDescriptor {
  const [space] = spacesOf(root);
  const symbols = new Set<string>();
  const parts = partsOf(space!, symbols);
  return { name, package: space!.fullName.slice(1), syntax: "proto3", ...parts, symbols };
}

/** The namespaces that have something in them; a file has one. */
function spacesOf(space: protobuf.NamespaceBase): protobuf.NamespaceBase[] {
  const inner = space.nestedArray.filter(
    (one) => one instanceof protobuf.Namespace && one.constructor === protobuf.Namespace,
  );
  return inner.length === 0 ? [space] : inner.flatMap((one) => spacesOf(one as protobuf.Namespace));
}

function partsOf(space: protobuf.NamespaceBase, symbols: Set<string>) {
  const all = space.nestedArray;
  for (const one of all) symbols.add(one.fullName.slice(1));
  return {
    message_type: all.filter((one) => one instanceof protobuf.Type).map((type) => messageOf(type, symbols)),
    enum_type: all.filter((one) => one instanceof protobuf.Enum).map(enumOf),
    service: all.filter((one) => one instanceof protobuf.Service).map((service) => serviceOf(service, symbols)),
  };
}

function messageOf(type: protobuf.Type, symbols: Set<string>): object {
  // Those that stand for "optional" come last.
  const oneofs = [...type.oneofsArray].sort((a, b) => Number(isOptional(a)) - Number(isOptional(b)));
  const { message_type, enum_type } = partsOf(type, symbols);
  return {
    name: type.name,
    field: type.fieldsArray.map((field) => fieldOf(field, oneofs)),
    nested_type: message_type,
    enum_type,
    oneof_decl: oneofs.map((oneof) => ({ name: oneof.name })),
  };
}

function isOptional(oneof: protobuf.OneOf): boolean {
  return oneof.fieldsArray.length === 1 && oneof.fieldsArray[0]!.options?.["proto3_optional"] === true;
}

function fieldOf(field: protobuf.Field, oneofs: readonly protobuf.OneOf[]): object {
  const { name, id, resolvedType, partOf } = field;
  const kind = resolvedType === null ? field.type : resolvedType instanceof protobuf.Enum ? "enum" : "message";
  return {
    name,
    number: id,
    label: field.repeated ? repeated : optional,
    type: types[kind],
    ...(resolvedType === null ? undefined : { type_name: resolvedType.fullName }),
    ...(partOf === null ? undefined : { oneof_index: oneofs.indexOf(partOf) }),
    json_name: protobuf.util.camelCase(name),
    proto3_optional: partOf !== null && isOptional(partOf),
  };
}

function enumOf({ name, values }: protobuf.Enum): object {
  return { name, value: Object.entries(values).map(([key, number]) => ({ name: key, number })) };
}

function serviceOf(service: protobuf.Service, symbols: Set<string>): { name: string; method: object[] } {
  for (const { fullName } of service.methodsArray) symbols.add(fullName.slice(1));
  return {
    name: service.name,
    method: service.methodsArray.map((method) => ({
      name: method.name,
      input_type: method.resolvedRequestType!.fullName,
      output_type: method.resolvedResponseType!.fullName,
      client_streaming: method.requestStream === true,
      server_streaming: method.responseStream === true,
    })),
  };
}
