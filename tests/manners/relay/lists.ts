// A small Relay project: lists with cursor pagination, at the root and below nodes, objects refetched
// by ID, and edges added and removed by subscriptions and mutations.
import { graphql, type GraphQLTaggedNode } from "relay-runtime";
import type { lists_events$data } from "./made/lists_events.graphql";
import type { listsQuery$variables } from "./made/listsQuery.graphql";

export const byType: listsQuery$variables["by"] = { type: "flaring.flaring_incident" };
// @ts-expect-error: exactly one member of a @oneOf input
export const byBoth: listsQuery$variables["by"] = { id: "1", type: "2" };

export const summaries = (data: lists_events$data): readonly string[] =>
  data.events.edges.map((edge) => edge.node.summary);

export const documents: GraphQLTaggedNode[] = [
  graphql`
    query listsQuery($by: EventTypeBy!, $id: ID!) {
      ...lists_events
      ...lists_bell
      eventType(by: $by) {
        ...lists_ofType
      }
      organization {
        ...lists_ofOrganization
      }
      node(id: $id) {
        ...lists_event @alias(as: "event")
      }
    }
  `,
  graphql`
    fragment lists_events on Query
    @argumentDefinitions(
      count: { type: "Int", defaultValue: 20 }
      cursor: { type: "String" }
      filter: { type: "EventFilter" }
    )
    @refetchable(queryName: "listsEventsPageQuery") {
      events(first: $count, after: $cursor, filter: $filter) @connection(key: "lists_events") {
        totalCount
        edges {
          node {
            summary
            ...lists_event
          }
        }
      }
    }
  `,
  graphql`
    fragment lists_bell on Query
    @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, cursor: { type: "String" })
    @refetchable(queryName: "listsBellPageQuery") {
      notifications(first: $count, after: $cursor) @connection(key: "lists_notifications") {
        __id
        unacknowledgedCount
        edges {
          cursor
          node {
            ...lists_event
          }
        }
      }
    }
  `,
  graphql`
    fragment lists_ofType on EventType
    @argumentDefinitions(
      first: { type: "Int" }
      after: { type: "String" }
      last: { type: "Int" }
      before: { type: "String" }
    )
    @refetchable(queryName: "listsOfTypePageQuery") {
      name
      events(first: $first, after: $after, last: $last, before: $before)
        @connection(key: "lists_ofType_events") {
        edges {
          node {
            ...lists_event
          }
        }
      }
    }
  `,
  graphql`
    fragment lists_ofOrganization on Organization
    @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, cursor: { type: "String" })
    @refetchable(queryName: "listsOfOrganizationPageQuery") {
      containerEvents(first: $count, after: $cursor, activity: ACCESS)
        @connection(key: "lists_containerEvents") {
        edges {
          node {
            id
          }
        }
      }
    }
  `,
  graphql`
    fragment lists_event on Event
    @argumentDefinitions(count: { type: "Int", defaultValue: 5 }, cursor: { type: "String" })
    @refetchable(queryName: "listsEventQuery") {
      summary
      severity
      history(first: $count, after: $cursor) @connection(key: "lists_history") {
        edges {
          node {
            kind
            at
          }
        }
      }
    }
  `,
  graphql`
    fragment lists_rule on GuardRule @refetchable(queryName: "listsRuleQuery") {
      name
    }
  `,
  graphql`
    subscription listsBellSubscription($after: String, $connections: [ID!]!) {
      notificationAdded(after: $after) @prependEdge(connections: $connections) {
        cursor
        node {
          summary
        }
      }
    }
  `,
  graphql`
    mutation listsDeleteMutation($id: ID!, $connections: [ID!]!) {
      deleteEvent(id: $id) {
        event {
          id @deleteEdge(connections: $connections)
        }
        userErrors {
          message
        }
      }
    }
  `,
];
