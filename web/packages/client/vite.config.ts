import { defineConfig } from "vite";

export default defineConfig({
  logLevel: "warn",
  build: {
    lib: {
      entry: { index: "src/index.ts", apollo: "src/apollo.ts", urql: "src/urql.ts" },
      formats: ["es", "cjs"],
    },
    target: "es2022",
    rolldownOptions: { external: [/^graphql/, /^@apollo\/client/, /^@urql\//] },
  },
});
