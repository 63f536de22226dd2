import { defineConfig } from "vite";

export default defineConfig({
  logLevel: "warn",
  build: {
    lib: { entry: ["src/index.ts", "src/live-list.ts"], formats: ["es", "cjs"] },
    target: "es2022",
    rolldownOptions: { external: ["react", "@tocsin/client"] },
  },
});
