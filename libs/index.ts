/** The door of the package. */
export * from "../core/index.js";
