// Builds the console into the Python package, which serves it at / and its assets at /console/assets.
// All addresses are relative, because a proxy may serve the console below another path.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  logLevel: "warn",
  resolve: {
    alias: {
      "@tocsin/client": fileURLToPath(new URL("../packages/client/src/index.ts", import.meta.url)),
      "@tocsin/react": fileURLToPath(new URL("../packages/react/src/index.ts", import.meta.url)),
    },
    dedupe: ["react", "react-dom"],
  },
  // The server replaces the placeholder by a new nonce for each response.
  html: { cspNonce: "CSP_NONCE" },
  build: {
    outDir: "../../app/http/static/console",
    emptyOutDir: true,
    manifest: "manifest.json",
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1024,
    modulePreload: { polyfill: false },
    target: "es2022",
    // Keeps light-dark(), which these browsers implement.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    license: { fileName: "licenses.md" },
    rolldownOptions: {
      // One script for the first page: each further one takes a request.
      output: { codeSplitting: { groups: [{ name: "first", tags: ["$initial"] }] } },
      onLog(level, log, report) {
        // Hundreds of "use client" marks in libraries mean nothing to a page without a server side.
        if (log.code !== "MODULE_LEVEL_DIRECTIVE") report(level, log);
      },
    },
  },
});
