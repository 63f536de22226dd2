// Copies the types for CommonJS, where a file's format follows the nearest package.json.
import { cpSync, writeFileSync } from "node:fs";

cpSync("dist/types", "dist/types-cjs", { recursive: true });
writeFileSync("dist/types-cjs/package.json", '{ "type": "commonjs" }\n');
