// generate.mjs SCHEMA FOLDER: generates FOLDER/schema.ts from the schema, and FOLDER/operations.ts from
// FOLDER/operations.graphql, with graphql-codegen.
import { codegen } from "@graphql-codegen/core";
import * as typedDocumentNode from "@graphql-codegen/typed-document-node";
import * as typescript from "@graphql-codegen/typescript";
import * as typescriptOperations from "@graphql-codegen/typescript-operations";
import { parse } from "graphql";
import { readFileSync, writeFileSync } from "node:fs";

const [, , schema, folder] = process.argv;
const read = (file) => parse(readFileSync(file, "utf8"));

async function generate(filename, documents, pluginMap) {
  const made = await codegen({
    filename,
    schema: read(schema),
    documents,
    config: {
      enumsAsTypes: true,
      strictScalars: true,
      scalars: { DateTime: "string", Duration: "string", JSON: "unknown" },
    },
    plugins: Object.keys(pluginMap).map((name) => ({ [name]: {} })),
    pluginMap,
  });
  writeFileSync(`${folder}/${filename}`, made);
}

const location = "operations.graphql";
const document = read(`${folder}/${location}`);
await generate("schema.ts", [], { typescript });
await generate("operations.ts", [{ location, document }], {
  typescriptOperations,
  typedDocumentNode,
});
