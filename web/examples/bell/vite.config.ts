import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  logLevel: "warn",
  build: {
    chunkSizeWarningLimit: 1024,
    rolldownOptions: {
      onLog(level, log, report) {
        // The marks "use client" in libraries mean nothing to a page without a server side.
        if (log.code !== "MODULE_LEVEL_DIRECTIVE") report(level, log);
      },
    },
  },
});
