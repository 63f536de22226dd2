// A small program that uses the types of graphql-codegen: it is tested by compiling it. Lines that must
// not compile are marked with @ts-expect-error, which is an error itself if they do.
import type { DocumentTypeDecoration } from "@graphql-typed-document-node/core";
import {
  AddRuleDocument,
  BellDocument,
  EventTypeByDocument,
  LogDocument,
  WhateverDocument,
  type LogMutation,
} from "./operations.js";
import type { ConditionInput, EventTypeBy, LogEventInput, UserError } from "./schema.js";

declare function ask<Data, Variables>(
  document: DocumentTypeDecoration<Data, Variables>,
  variables: Variables,
): Promise<Data>;

// Exactly one member of a @oneOf input.
export const byId: EventTypeBy = { id: "018f0000-0000-7000-8000-000000000000" };
export const byType: EventTypeBy = { type: "flaring.flaring_incident" };
// @ts-expect-error: both
export const byBoth: EventTypeBy = { id: "1", type: "2" };
// @ts-expect-error: neither
export const byNothing: EventTypeBy = {};
// @ts-expect-error: null is not allowed
export const byNull: EventTypeBy = { id: null };

const large: ConditionInput = { field: { field: "volume_mcf", operator: "GTE", value: 100 } };
const condition: ConditionInput = { any: [large, { not: { all: [large] } }] };
// @ts-expect-error: a condition has one member
export const torn: ConditionInput = { all: [large], not: large };

export async function define(eventTypeId: string): Promise<readonly string[]> {
  const { eventType } = await ask(EventTypeByDocument, { by: byId });
  const again = await ask(EventTypeByDocument, { by: { type: eventType?.type ?? "notice" } });
  // @ts-expect-error: both
  await ask(EventTypeByDocument, { by: { id: "1", type: "2" } });
  const rule = { name: "large", effect: "SHOW", targets: ["duration_hours"], condition } as const;
  const { addConditionalRule } = await ask(AddRuleDocument, {
    eventTypeId,
    rule: { ...rule, targets: [...rule.targets] },
  });
  // Fields are JSON of an unknown type.
  const read: unknown = again.eventType?.conditionalRules[0]?.condition;
  return [...addConditionalRule.userErrors.map((error) => error.code), typeof read];
}

type LogError = LogMutation["logEvent"]["userErrors"][number];

/** Handles every type of error: `never` does not compile if the schema has another one. */
function describe(error: LogError): string {
  const where = error.path.join(".");
  switch (error.__typename) {
    case "GuardViolation":
      return `${where}: ${error.rule.name}, version ${error.version}`;
    case "DuplicateError":
      return `${where}: ${error.existing?.id ?? "may not be read"}`;
    case "ExpressionError":
    case "InputError":
    case "TransitionError":
      return `${where}: ${error.code} ${error.message}`;
    default: {
      const none: never = error;
      return none;
    }
  }
}

export async function log(input: LogEventInput): Promise<string | readonly string[]> {
  const { logEvent } = await ask(LogDocument, { input: { summary: "kept", fields: { a: [1] } } });
  // @ts-expect-error: null if it was rejected
  logEvent.event.id;
  // @ts-expect-error: only a guard violation has a rule
  logEvent.userErrors.map((error) => error.rule);
  await ask(LogDocument, {
    // @ts-expect-error: no such outcome
    input: { outcome: "MAYBE" },
  });
  const shared: Pick<UserError, "message" | "path">[] = logEvent.userErrors;
  return logEvent.event?.id ?? [input.summary ?? "", ...shared.map((each) => each.message),
    ...logEvent.userErrors.map(describe)];
}

export async function follow(id: string, after: string | null): Promise<string> {
  const { node } = await ask(WhateverDocument, { id });
  const { notificationAdded } = await ask(BellDocument, { filter: { severities: ["ERROR"] }, after });
  if (node?.__typename === "Event") return node.summary + notificationAdded.node.summary;
  if (node?.__typename === "EventType") return node.name;
  return notificationAdded.cursor;
}
