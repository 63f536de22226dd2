// What uses an event type: its events, and the rules that name its fields.

import { Anchor, List, Stack, Text, Title } from "@mantine/core";
import { Link } from "react-router";
import { texts } from "../../texts";
import type { EventTypeDetails } from "./draft";

const t = texts.eventTypes;

export function Use({ type }: { type: EventTypeDetails }) {
  const rules = [
    ...type.guardRules.map(({ id, name, state }) => ({
      path: `/rules/guard/${id}`,
      name,
      hint: t.guardRule(texts.rules.states[state]),
    })),
    ...type.duplicationRules.map(({ id, name }) => ({
      path: `/rules/duplication/${id}`,
      name,
      hint: t.duplicationRule,
    })),
  ];
  return (
    <section aria-labelledby="use">
      <Stack gap="xs">
        <Title order={2} size="h4" id="use">
          {t.use}
        </Title>
        {type.events && (
          <Anchor
            component={Link}
            underline="always"
            w="fit-content"
            to={`/events?${new URLSearchParams({ type: type.type })}`}
          >
            {t.eventCount(type.events.totalCount)}
          </Anchor>
        )}
        {rules.length === 0 ? (
          <Text>{t.noUse}</Text>
        ) : (
          <List>
            {rules.map(({ path, name, hint }) => (
              <List.Item key={path}>
                <Anchor component={Link} to={path} underline="always">
                  {name}
                </Anchor>{" "}
                ({hint})
              </List.Item>
            ))}
          </List>
        )}
      </Stack>
    </section>
  );
}
