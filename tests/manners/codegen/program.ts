// A small program over what graphql-codegen made: the compiler is the test. What must not compile
// is marked, and the mark is an error itself where it would.
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

// One member of a @oneOf input, and only one.
export const byId: EventTypeBy = { id: "018f0000-0000-7000-8000-000000000000" };
export const byType: EventTypeBy = { type: "flaring.flaring_incident" };
// @ts-expect-error: both
export const byBoth: EventTypeBy = { id: "1", type: "2" };
// @ts-expect-error: neither
export const byNothing: EventTypeBy = {};
// @ts-expect-error: null is no member
export const byNull: EventTypeBy = { id: null };

const large: ConditionInput = { field: { field: "volume_mcf", operator: "GTE", value: 100 } };
const condition: ConditionInput = { any: [large, { not: { all: [large] } }] };
// @ts-expect-error: a condition is one thing
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
  // What is read is any JSON: nothing is known of it yet.
  const read: unknown = again.eventType?.conditionalRules[0]?.condition;
  return [...addConditionalRule.userErrors.map((error) => error.code), typeof read];
}

type Told = LogMutation["logEvent"]["userErrors"][number];

/** Every kind of error is met: `never` does not compile once the schema has one more. */
function tell(error: Told): string {
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
  // @ts-expect-error: null where it was refused
  logEvent.event.id;
  // @ts-expect-error: only a guard has a rule
  logEvent.userErrors.map((error) => error.rule);
  await ask(LogDocument, {
    // @ts-expect-error: no such outcome
    input: { outcome: "MAYBE" },
  });
  const shared: Pick<UserError, "message" | "path">[] = logEvent.userErrors;
  return logEvent.event?.id ?? [input.summary ?? "", ...shared.map((each) => each.message),
    ...logEvent.userErrors.map(tell)];
}

export async function follow(id: string, after: string | null): Promise<string> {
  const { node } = await ask(WhateverDocument, { id });
  const { notificationAdded } = await ask(BellDocument, { filter: { severities: ["ERROR"] }, after });
  if (node?.__typename === "Event") return node.summary + notificationAdded.node.summary;
  if (node?.__typename === "EventType") return node.name;
  return notificationAdded.cursor;
}
