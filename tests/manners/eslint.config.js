// graphql-eslint's recommended rules and its rules for Relay, for the schema.graphql of the folder
// that eslint runs in. Where they contradict the contract they are eased, each with its reason.
// (package.json holds graphql-config back: later ones ask for packages that cannot be had.)
import graphql from "@graphql-eslint/eslint-plugin";

const recommended = graphql.configs["flat/schema-recommended"].rules;
const relay = graphql.configs["flat/schema-relay"].rules;

const OBJECTS = "ObjectTypeDefinition,ObjectTypeExtension";
const naming = recommended["@graphql-eslint/naming-convention"][1];

const eased = {
  // Every field, argument and enum value as well; but not the definition of @oneOf, which is
  // GraphQL's own and has no words of ours.
  "@graphql-eslint/require-description": [
    "error",
    {
      types: true,
      rootField: true,
      FieldDefinition: true,
      InputValueDefinition: true,
      EnumValueDefinition: true,
    },
  ],

  // "EventType" is the contract's name for the definition of events. No other type may end so.
  "@graphql-eslint/naming-convention": [
    "error",
    { ...naming, [OBJECTS]: { ...naming[OBJECTS], ignorePattern: "^EventType$" } },
  ],

  // Off: `Entity.entityId`, `Event.eventType` and `Event.eventTypeVersion` are the contract's, and
  // the rule takes no exceptions.
  "@graphql-eslint/no-typename-prefix": "off",

  // Values, which have no identity of their own, have no id in the contract.
  "@graphql-eslint/strict-id-in-types": [
    "error",
    {
      exceptions: {
        suffixes: ["Connection", "Edge", "Payload", "Error"],
        types: [
          "CloudEventPage",
          "Correlation",
          "Entity", // two types may use the same entityId
          "EventChange", // its cursor is its place
          "EventCheck",
          "EventCount",
          "EventTypeCheck",
          "EventTypeVersion",
          "FieldChoice",
          "FieldValue",
          "GuardRuleTrial",
          "GuardRuleVersion",
          "GuardTrialFailure",
          "GuardViolation",
          "Limit",
          "NotificationSummary",
          "PageInfo",
          "ServerHealth",
          "SeverityCount",
          "SourceMapping",
          "SourceTrial",
          "Viewer",
        ],
      },
    },
  ],

  // Lists in order of creation go forward only, in the contract; Relay asks for one direction.
  "@graphql-eslint/relay-arguments": ["error", { includeBoth: false }],

  // `nodes` beside `edges`, and plain lists of what is few, are the contract's; so are edges to
  // correlations and to entries of the log, which are no Node.
  "@graphql-eslint/relay-edge-types": [
    "error",
    { withEdgeSuffix: true, listTypeCanWrapOnlyEdgeType: false, shouldImplementNode: false },
  ],
};

export default [
  {
    files: ["schema.graphql"],
    languageOptions: {
      parser: graphql.parser,
      parserOptions: { graphQLConfig: { schema: "schema.graphql" } },
    },
    plugins: { "@graphql-eslint": graphql },
    rules: { ...recommended, ...relay, ...eased },
  },
];
