// Lint rules that find faults; how code looks is Prettier's matter, what may import what is dependency-cruiser's.
import js from "@eslint/js";
import tseslint from "typescript-eslint";

const noEnums = { selector: "TSEnumDeclaration", message: "Use a union of strings." };

export default tseslint.config(
  { ignores: ["**/dist/", "**/node_modules/", "data/", ".tmp/", "benchmarks/results/"] },
  js.configs.recommended,
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      // What was caught is handed on as it is.
      "@typescript-eslint/prefer-promise-reject-errors": ["error", { allowThrowingUnknown: true }],
      // An async function without await turns a thrown fault into a rejection, which is what the contract promises.
      "@typescript-eslint/require-await": "off",
      // Hot paths hand out promises as they are.
      "@typescript-eslint/return-await": "off",
      "no-restricted-exports": ["error", { restrictDefaultExports: { direct: true, named: true, defaultFrom: true } }],
      "no-restricted-syntax": ["error", noEnums],
    },
  },
  {
    // Time and chance come through the clock, so that a test can replace them; nothing is printed.
    files: ["core/**/*.ts", "libs/**/*.ts"],
    rules: { "no-console": "error" },
  },
  {
    files: ["core/engine/**/*.ts"],
    rules: {
      "no-restricted-properties": [
        "error",
        { object: "Date", property: "now", message: "Use the clock." },
        { object: "performance", property: "now", message: "Use the clock." },
        { object: "Math", property: "random", message: "The engine is a function of the log." },
      ],
    },
  },
  {
    files: ["**/*.js", "**/*.cjs", "**/*.mjs"],
    languageOptions: { globals: { console: "readonly", process: "readonly", module: "writable", require: "readonly" } },
  },
);
