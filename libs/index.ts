/** The door of the package. */
export * from "../core/index.js";
export { jsonCodec, messagePackCodec } from "./codec.js";
export type { Codec } from "./codec.js";
