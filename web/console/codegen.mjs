// Generates the types of the console's operations (src/**/*.graphql) from the schema of the server.
import { codegen } from "@graphql-codegen/core";
import * as typedDocumentNode from "@graphql-codegen/typed-document-node";
import * as typescriptOperations from "@graphql-codegen/typescript-operations";
import { parse } from "graphql";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const filename = "src/api/generated.ts";
const read = (file) => parse(readFileSync(file, "utf8"));

writeFileSync(
  filename,
  await codegen({
    filename,
    schema: read("../../schema.graphql"),
    documents: readdirSync("src", { recursive: true })
      .filter((name) => name.endsWith(".graphql"))
      .sort()
      .map((name) => ({ location: name, document: read(`src/${name}`) })),
    config: {
      documentMode: "string",
      enumsAsTypes: true,
      strictScalars: true,
      useTypeImports: true,
      scalars: { ID: "string", DateTime: "string", Duration: "string", JSON: "any" },
    },
    plugins: [{ typescriptOperations: {} }, { typedDocumentNode: {} }],
    pluginMap: { typescriptOperations, typedDocumentNode },
  }),
);
