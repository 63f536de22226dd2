import { defineConfig } from "vite";

export default defineConfig({
  logLevel: "warn",
  build: {
    lib: { entry: "src/index.ts", formats: ["es", "cjs"], fileName: "index" },
    target: "es2022",
    rolldownOptions: { external: ["graphql", "graphql-ws"] },
  },
});
