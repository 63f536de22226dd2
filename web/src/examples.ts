// The tabs that a first visit opens with. Each operation has a name, for that is the tab's title.

const logAnEvent = `# Log an event: whoever follows in the third tab
# hears of it at once.
mutation LogAnEvent {
  logEvent(
    input: {
      severity: "warn"
      summary: "Configuration updated"
      content: "System configuration has been updated by admin user"
      source: "admin-service"
      notification: true
      acknowledged: false
    }
  ) {
    event {
      id
      severity
      summary
      occurredAt
    }
    userErrors {
      message
      code
      path
    }
  }
}
`;

const listEvents = `# List the newest events. For the next page,
# add after: "<endCursor>" beside first.
query ListEvents {
  events(first: 20) {
    totalCount
    nodes {
      id
      occurredAt
      type
      severity
      summary
      source
      acknowledged
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
`;

const hearNotifications = `# Hear of notifications as they happen. Start it,
# log an event in the first tab, and come back:
# it goes on until you stop it.
subscription HearNotifications {
  notificationAdded {
    cursor
    node {
      id
      severity
      summary
      source
      occurredAt
    }
  }
}
`;

export const examples = [logAnEvent, listEvents, hearNotifications].map((query) => ({ query }));
