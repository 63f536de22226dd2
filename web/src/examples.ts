// The tabs of a first visit. A tab's title is the name of its operation. Each example runs as it
// stands on a new database, in this order.

const logEvent = `# Logs an event. The subscription in the third tab
# receives it immediately because notification is true.
mutation LogEvent {
  logEvent(
    input: {
      severity: "warn"
      summary: "Configuration updated"
      content: "System configuration has been updated by an administrator"
      source: "admin-service"
      notification: true
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

const listEvents = `# Lists the newest events. For the next page, add
# after: "<endCursor>" next to first.
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

const watchNotifications = `# Receives notifications as they are logged. Run it, log an
# event in the first tab, and come back. The subscription
# continues in the background until you stop it.
subscription WatchNotifications {
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

const createEventType = `# Defines an event type with two fields and publishes it.
# The server validates the fields of each event that is
# logged with type: "maintenance.inspection".
mutation CreateEventType {
  createEventType(
    input: {
      type: "maintenance.inspection"
      name: "Inspection"
      category: "maintenance"
      state: PUBLISHED
      fields: [
        { name: "inspector", kind: TEXT, required: true }
        { name: "pressure", kind: NUMBER, unit: "bar", minimum: 0 }
      ]
    }
  ) {
    eventType {
      id
      type
      state
      fields {
        name
        kind
        required
        unit
      }
    }
    userErrors {
      message
      code
      path
    }
  }
}
`;

const createGuardRule = `# Creates a guard rule: error events need content.
# The rule is a draft. To enforce it, run:
# mutation { publishGuardRule(id: "<id>") { guardRule { state } userErrors { message } } }
mutation CreateGuardRule {
  createGuardRule(
    input: {
      name: "Errors need content"
      expression: "event.severity != 'ERROR' || event.content != null"
      message: "Describe the error in content."
    }
  ) {
    guardRule {
      id
      name
      state
      expression
    }
    userErrors {
      message
      code
      path
    }
  }
}
`;

const createApiKey = `# Creates an API key that can only log events. The server
# returns the secret once: copy it from the response.
mutation CreateApiKey {
  createApiKey(input: { name: "pump-station", permissions: [EVENT_CREATE] }) {
    secret
    apiKey {
      id
      name
      permissions
      expiresAt
    }
    userErrors {
      message
      code
      path
    }
  }
}
`;

const listApiKeys = `# Lists the API keys of the organization, without secrets.
# To revoke one, run:
# mutation { revokeApiKey(id: "<id>") { apiKey { revokedAt } userErrors { message } } }
query ListApiKeys {
  organization {
    key
    apiKeys {
      id
      name
      permissions
      createdAt
      expiresAt
      lastUsedAt
      revokedAt
    }
  }
}
`;

export const examples = [
  logEvent,
  listEvents,
  watchNotifications,
  createEventType,
  createGuardRule,
  createApiKey,
  listApiKeys,
].map((query) => ({ query }));
