// The versions of an event type, newest first, with what each changed.

import { Button, Group, Stack, Text, Title } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useApi } from "../../api/client";
import {
  type CreateEventTypeInput,
  EventTypeVersionsDocument,
  ReplaceEventTypeDocument,
} from "../../api/generated";
import { useApiPages } from "../../api/pages";
import { Confirm } from "../../common/Confirm";
import { Diff } from "../../common/Diff";
import { PagedList } from "../../common/PagedList";
import { Time } from "../../common/time";
import { checked } from "../../common/userErrors";
import { texts } from "../../texts";

const t = texts.eventTypes;
const NO_PAGE = { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } };

const write = (definition: unknown) => (definition === undefined ? "" : JSON.stringify(definition, null, 2));

interface Props {
  id: string;
  /** Number of the newest version. */
  latest: number;
}

export function Versions({ id, latest }: Props) {
  const { client, can } = useApi();
  const queries = useQueryClient();
  const [opened, setOpened] = useState<number | null>(null);
  const [restored, setRestored] = useState<number | null>(null);
  const pages = useApiPages(
    EventTypeVersionsDocument,
    { id },
    (data) => data.eventType?.versions ?? NO_PAGE,
  );
  const find = (number: number | null) => pages.items?.find((version) => version.number === number);
  const restoring = useMutation<void, Error, void>({
    mutationFn: async () => {
      const definition = find(restored)!.definition as CreateEventTypeInput;
      const input = { id, ifVersion: latest, definition };
      checked((await client.request(ReplaceEventTypeDocument, { input })).replaceEventType);
    },
    onSuccess: async () => {
      setRestored(null);
      await queries.invalidateQueries();
    },
  });
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
                    <Group gap="xs" justify="end">
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
                      {can("EVENT_TYPE_MANAGE") && version.number !== latest && (
                        <Button
                          variant="default"
                          size="xs"
                          aria-label={t.restoreVersion(version.number)}
                          onClick={() => setRestored(version.number)}
                        >
                          {t.restore}
                        </Button>
                      )}
                    </Group>
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
      <Confirm
        isOpen={restored !== null}
        onClose={() => setRestored(null)}
        title={t.restoreVersion(restored ?? 0)}
        action={t.saveVersion(latest + 1)}
        mutation={restoring}
      >
        <Text>{t.restoreHint(latest + 1)}</Text>
        {restored !== null && (
          <Diff
            before={write(find(latest)?.definition)}
            after={write(find(restored)?.definition)}
            label={t.changesOf(latest + 1)}
          />
        )}
      </Confirm>
    </section>
  );
}
