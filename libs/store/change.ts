/** What happens to one object in a commit: part kind 1 of proto/envelope.proto. And kind 2, the definition of an index. */
import { LogError } from "../../core/index.js";
import { BrokenPart, type Part, StoredPart } from "../envelope.js";
import { objectOf } from "../tags.js";
import { mark, MessageReader, writeBytes, writeFlag, writeMessage, writeString, writeUint } from "../protobuf.js";

const changeKind = 1;
const definitionKind = 2;
const version = 1;

/** What becomes of the value: all of it, patches of what it was, nothing left, or as before. */
export type What = "value" | "patches" | "deleted" | "same";

export interface IndexEntries {
  readonly index: string;
  readonly entries: readonly string[];
}

const none: readonly never[] = Object.freeze([]);

export class ObjectChange implements Part {
  readonly kind = changeKind;
  readonly version = version;
  what: What = "same";
  /** Of `value` and `patches`: by their codec. */
  bytes: Uint8Array | undefined;
  /** What the value becomes, where whoever made this change knows it and shares it. */
  next: unknown;
  hasNext = false;
  valueVersion = 0;
  /** Log time, ms; 0 if not said. */
  expiresAt = 0;
  expiresIn = 0;
  neverExpires = false;
  indexes: readonly IndexEntries[] = none;
  unknownIndexes: readonly string[] = none;
  /** There was no object of this key before. */
  isFirst = false;

  /** Why the body of the part cannot be read. */
  fault: Error | undefined;

  constructor(
    public collection: string,
    public key: string,
  ) {}

  /** It says what the value is without regard to what it was. */
  get isWhole(): boolean {
    return this.what === "value" || this.what === "deleted";
  }

  write(): void {
    writeFlag(12, this.isFirst);
    writeFlag(11, this.neverExpires);
    for (let i = this.unknownIndexes.length - 1; i >= 0; i--) writeString(10, this.unknownIndexes[i]!);
    for (let i = this.indexes.length - 1; i >= 0; i--) {
      const { index, entries } = this.indexes[i]!;
      const before = mark();
      for (let j = entries.length - 1; j >= 0; j--) writeString(2, entries[j]!);
      writeString(1, index);
      writeMessage(9, before);
    }
    writeUint(8, this.expiresIn);
    writeUint(7, this.expiresAt);
    writeFlag(6, this.what === "deleted");
    if (this.what === "patches") writeBytes(5, this.bytes!);
    if (this.what === "value") writeBytes(4, this.bytes!);
    writeUint(3, this.valueVersion);
    writeString(2, this.key);
    writeString(1, this.collection);
  }

  /** What can be read of it; an object whose change is broken is damaged, not the rest of the commit. */
  static read(body: Uint8Array): ObjectChange {
    const change = new ObjectChange("", "");
    try {
      change.#read(new MessageReader(body));
    } catch (error) {
      change.fault = error as Error;
    }
    return change;
  }

  #read(reader: MessageReader): void {
    const indexes: IndexEntries[] = [];
    const unknown: string[] = [];
    for (let field = reader.next(); field !== 0; field = reader.next()) {
      if (field === 1) this.collection = reader.string();
      else if (field === 2) this.key = reader.string();
      else if (field === 3) this.valueVersion = reader.uint();
      else if (field === 4 || field === 5) {
        this.what = field === 4 ? "value" : "patches";
        this.bytes = reader.bytes();
      } else if (field === 6) {
        if (reader.uint() === 1) this.what = "deleted";
      } else if (field === 7) this.expiresAt = reader.uint();
      else if (field === 8) this.expiresIn = reader.uint();
      else if (field === 9) indexes.push(readEntries(reader.bytes()));
      else if (field === 10) unknown.push(reader.string());
      else if (field === 11) this.neverExpires = reader.uint() === 1;
      else if (field === 12) this.isFirst = reader.uint() === 1;
      else reader.skip();
    }
    if (indexes.length > 0) this.indexes = indexes;
    if (unknown.length > 0) this.unknownIndexes = unknown;
  }
}

function readEntries(body: Uint8Array): IndexEntries {
  const reader = new MessageReader(body);
  let index = "";
  const entries: string[] = [];
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) index = reader.string();
    else if (field === 2) entries.push(reader.string());
    else reader.skip();
  }
  return { index, entries };
}

export class IndexDefinition implements Part {
  readonly kind = definitionKind;
  readonly version = version;

  constructor(
    readonly collection: string,
    readonly index: string,
    readonly dropped: boolean,
  ) {}

  write(): void {
    writeFlag(3, this.dropped);
    writeString(2, this.index);
    writeString(1, this.collection);
  }

  static read(body: Uint8Array): IndexDefinition {
    const reader = new MessageReader(body);
    let collection = "";
    let index = "";
    let dropped = false;
    for (let field = reader.next(); field !== 0; field = reader.next()) {
      if (field === 1) collection = reader.string();
      else if (field === 2) index = reader.string();
      else if (field === 3) dropped = reader.uint() === 1;
      else reader.skip();
    }
    return new IndexDefinition(collection, index, dropped);
  }
}

/**
 * The parts of a commit that concern the store, decoded once; `tags` are those of its record. Where one cannot be read, the
 * objects of the tags that no other part is about are damaged. Throws `LOG_VERSION` for a form that is not known.
 */
export function storeParts(
  parts: Part[],
  record: { readonly tags: readonly string[] },
): readonly (ObjectChange | IndexDefinition)[] {
  const found: (ObjectChange | IndexDefinition)[] = [];
  let fault: Error | undefined;
  for (let i = 0; i < parts.length; i++) {
    let part = parts[i]!;
    if (part instanceof StoredPart) {
      const decoded = decode(part);
      if (decoded === undefined) continue;
      part = parts[i] = decoded;
    }
    if (part instanceof BrokenPart || (part instanceof ObjectChange && part.key === "")) fault = part.fault;
    else if (part instanceof ObjectChange || part instanceof IndexDefinition) found.push(part);
  }
  return fault === undefined ? found : [...found, ...damagedBy(fault, record.tags, found)];
}

/** Changes that say of the objects in the tags of a record that they are damaged. */
function damagedBy(
  fault: Error,
  tags: readonly string[],
  known: readonly (ObjectChange | IndexDefinition)[],
): ObjectChange[] {
  const changes: ObjectChange[] = [];
  for (const tag of tags) {
    const name = objectOf(tag);
    if (name === undefined) continue;
    const [collection, key] = name;
    if (known.some((part) => part instanceof ObjectChange && part.collection === collection && part.key === key))
      continue;
    const change = new ObjectChange(collection, key);
    change.fault = fault;
    changes.push(change);
  }
  return changes;
}

function decode(part: StoredPart): ObjectChange | IndexDefinition | BrokenPart | undefined {
  if (part.kind !== changeKind && part.kind !== definitionKind) return undefined;
  if (part.version !== version) {
    throw new LogError(
      "LOG_VERSION",
      `a change of an object has version ${part.version}; this version of boki knows ${version}. Use a newer one`,
    );
  }
  if (part.kind === changeKind) return ObjectChange.read(part.body);
  try {
    return IndexDefinition.read(part.body);
  } catch (error) {
    return new BrokenPart(error as Error);
  }
}
