// Builds the page into the Python package, which serves it at /graphql and its assets below that.
// All addresses are relative, because a proxy may serve the page below another path.
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  logLevel: "warn",
  worker: { format: "es" },
  build: {
    outDir: "../app/http/static",
    emptyOutDir: true,
    assetsDir: "graphql/assets",
    chunkSizeWarningLimit: 4096,
    modulePreload: { polyfill: false },
    target: "es2022",
    license: { fileName: "licenses.md" },
    rolldownOptions: {
      onLog(level, log, report) {
        // Hundreds of "use client" marks in libraries mean nothing to a page without a server side.
        if (log.code !== "MODULE_LEVEL_DIRECTIVE") report(level, log);
      },
    },
  },
});
