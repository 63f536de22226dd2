// The versions of an event type, newest first, with what each changed.

import { Button, Group, Stack, Text, Title } from "@mantine/core";
import { useState } from "react";
import { EventTypeVersionsDocument } from "../../api/generated";
import { useApiPages } from "../../api/pages";
import { Diff } from "../../common/Diff";
import { PagedList } from "../../common/PagedList";
import { Time } from "../../common/time";
import { texts } from "../../texts";

const t = texts.eventTypes;
const NO_PAGE = { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } };

export function Versions({ id }: { id: string }) {
  const [opened, setOpened] = useState<number | null>(null);
  const pages = useApiPages(
    EventTypeVersionsDocument,
    { id },
    (data) => data.eventType?.versions ?? NO_PAGE,
  );
  const write = (definition: unknown) => (definition === undefined ? "" : JSON.stringify(definition, null, 2));
  return (
    <section aria-labelledby="versions">
      <Stack gap="xs" align="stretch">
        <Title order={2} size="h4" id="versions">
          {t.versions}
        </Title>
        <PagedList pages={pages} empty={null}>
          {(items) =>
            items.map((version, index) => {
              const previous = items[index + 1];
              // The version before it may be on the next page.
              const isComplete = previous !== undefined || version.number === 1;
              return (
                <Stack key={version.number} gap={4}>
                  <Group justify="space-between" wrap="nowrap">
                    <div style={{ overflowWrap: "anywhere" }}>
                      <Text>
                        {t.versionNumber(version.number)}
                        <Text component="span" size="sm" c="dimmed">
                          {" "}
                          <Time at={version.createdAt} /> {version.createdBy && texts.event.by(version.createdBy)}
                        </Text>
                      </Text>
                      <Text size="sm">{version.summary}</Text>
                    </div>
                    {isComplete && (
                      <Button
                        variant="default"
                        size="xs"
                        aria-expanded={opened === version.number}
                        aria-label={t.showChangesOf(version.number)}
                        onClick={() => setOpened((now) => (now === version.number ? null : version.number))}
                      >
                        {t.showChanges}
                      </Button>
                    )}
                  </Group>
                  {opened === version.number && (
                    <Diff
                      before={write(previous?.definition)}
                      after={write(version.definition)}
                      label={t.changesOf(version.number)}
                    />
                  )}
                </Stack>
              );
            })
          }
        </PagedList>
      </Stack>
    </section>
  );
}
