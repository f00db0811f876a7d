/**
 * The arrows: what may import what.
 *
 *   proto <- core <- libs <- workloads <- benchmarks      cli, test and examples stand beside and are imported by nobody
 */
const code = "^(proto|core|libs|workloads|benchmarks|cli|examples|test)/";

/** Nothing in `from` may import `path`, except `but`. */
function never(name, comment, from, path, but) {
  return { name, comment, severity: "error", from: { path: from }, to: { path, ...(but ? { pathNot: but } : {}) } };
}

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    never("proto-is-lowest", "proto imports nothing of ours", "^proto/", "^(core|libs|workloads|benchmarks|cli)/"),
    never("core-below-libs", "core imports nothing above it", "^core/", "^(libs|workloads|benchmarks|cli)/"),
    never("libs-below-workloads", "libs import nothing above them", "^libs/", "^(workloads|benchmarks|cli)/"),
    never("workloads-below-benchmarks", "workloads import nothing above them", "^workloads/", "^(benchmarks|cli)/"),
    never("libs-see-the-door", "libs see core/index.ts and nothing deeper", "^libs/", "^core/", "^core/index\\.ts$"),
    never("workloads-see-the-door", "workloads see libs/index.ts", "^workloads/", "^core/"),
    never(
      "examples-see-the-door",
      "examples use what a user has",
      "^examples/",
      "^(core|proto|libs)/",
      "^libs/index\\.ts$",
    ),
    never(
      "loglet-below-engine",
      "a loglet knows nothing of tags, books or sessions",
      "^core/loglet/",
      "^core/(engine|chain|remote)/",
    ),
    never(
      "loglet-below-sessions",
      "a loglet is used by the core, not the other way round",
      "^core/loglet/",
      "^core/(index|open|log|reader)\\.ts$",
    ),
    never(
      "engine-sees-the-contract",
      "the engine knows the loglet contract, no loglet",
      "^core/engine/",
      "^core/loglet/",
      "^core/loglet/loglet\\.ts$",
    ),
    never(
      "benchmarks-see-the-door",
      "benchmarks measure what a user has; core/loglet/file gives the raw limit, core/remote the server",
      "^benchmarks/",
      "^core/",
      "^core/((remote/)?index\\.ts$|loglet/)",
    ),
    never(
      "cli-sees-the-doors",
      "cli sees the doors of core and libs, of the server, and what checks its options",
      "^cli/",
      "^(core|libs|workloads|benchmarks)/",
      "^(core|libs)/index\\.ts$|^core/remote/serve/(serve|options)\\.ts$",
    ),
    never("nobody-imports-cli", "the command line is run, not imported", "^(?!cli/)", "^cli/"),
    never("nobody-imports-test", "tests are imported by tests", "^(?!test/)", "^test/"),
    never(
      "nobody-imports-benchmarks",
      "benchmarks are imported by benchmarks and tests",
      "^(?!benchmarks/|test/)",
      "^benchmarks/",
    ),
    never(
      "nobody-imports-examples",
      "examples are imported by examples and tests",
      "^(?!examples/|test/)",
      "^examples/",
    ),
    never(
      "package-without-tests",
      "boki/conformance is published: it sees no other test",
      "^test/conformance/(?!.*\\.test\\.ts$)",
      "^(test/(?!conformance/)|benchmarks/|cli/|examples/)",
    ),
    never(
      "grpc-in-one-place",
      "gRPC is loaded with core/remote, and touched in few files there",
      "^(?!core/remote/(grpc|server|share|index|serve/(serve|health|reflection|protocols))\\.ts$|test/|benchmarks/)",
      "node_modules/@grpc/",
    ),
    never(
      "protobufjs-in-one-place",
      "protocol buffers are touched in wire.ts, and where the services for tools are",
      "^core/(?!remote/(wire|serve/(protocols|describe))\\.ts$)|^libs/",
      "node_modules/protobufjs/",
    ),
    never(
      "opentelemetry-in-one-place",
      "spans are made in tracing/",
      "^(?!core/remote/tracing/|test/)",
      "node_modules/@opentelemetry/",
    ),
    {
      name: "remote-is-loaded-late",
      comment: "core/remote is imported by its own files, and by others only when a url asks for it.",
      severity: "error",
      from: { path: "^(core/(?!remote/)|libs/)" },
      to: { path: "^core/remote/", dependencyTypesNot: ["dynamic-import", "type-only"] },
    },
    never(
      "serve-stands-above",
      "boki/server uses core/remote; what does not serve knows nothing of it",
      "^(core/(?!remote/serve/)|libs/)",
      "^core/remote/serve/",
    ),
    {
      name: "serve-is-loaded-late",
      comment: "boki/server and what only it needs is loaded by the command that serves.",
      severity: "error",
      from: { path: "^cli/" },
      to: { path: "^core/remote/|node_modules/pino/", dependencyTypesNot: ["dynamic-import", "type-only"] },
    },
    never(
      "metrics-in-one-place",
      "prom-client is loaded with boki/server",
      "^(?!core/remote/serve/metrics\\.ts$)",
      "node_modules/prom-client/",
    ),
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "no-orphans",
      comment: "A file that imports nothing and that nobody imports.",
      severity: "error",
      from: { path: code, orphan: true, pathNot: "\\.(test|d)\\.ts$" },
      to: {},
    },
    never(
      "testing-stands-beside",
      "boki/testing uses the core; what does not test knows nothing of it",
      "^(core|libs|workloads)/(?!testing(/|\\.ts$))",
      "^core/testing(/|\\.ts$)",
    ),
    {
      name: "no-unused-modules",
      comment:
        "All of core and libs can be reached from the door of the package, but boki/server and boki/testing. Workers are loaded by url.",
      severity: "error",
      from: { path: "^libs/index\\.ts$" },
      to: {
        path: "^(core|libs)/",
        pathNot: "-worker\\.ts$|^core/testing(/|\\.ts$)|^core/remote/serve/|^core/remote/observer\\.ts$",
        reachable: false,
      },
    },
    {
      name: "no-unused-commands",
      comment: "All of cli can be reached from its door.",
      severity: "error",
      from: { path: "^cli/boki\\.ts$" },
      to: { path: "^cli/", reachable: false },
    },
    {
      name: "declared",
      comment: "What is imported is in package.json (of benchmarks: in benchmarks/package.json).",
      severity: "error",
      from: { path: code },
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown", "unknown"] },
    },
    {
      name: "resolved",
      comment: "What is imported exists. Peers of the benchmarks may be absent.",
      severity: "error",
      from: { path: code, pathNot: "^benchmarks/peers/" },
      to: { couldNotResolve: true },
    },
    {
      name: "published-needs-dependencies",
      comment: "What users install sees no devDependency.",
      severity: "error",
      from: { path: "^(core|libs|cli|test/conformance)/", pathNot: "\\.test\\.ts$" },
      to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only"] },
    },
  ],
  options: {
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    combinedDependencies: true,
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^|/)dist/" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};
