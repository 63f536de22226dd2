// The published versions of a guard rule, what each changed, and publishing one of them again.

import { Button, Group, Stack, Text, Title } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useApi } from "../../api/client";
import { PublishGuardRuleDocument } from "../../api/generated";
import { Confirm } from "../../common/Confirm";
import { Diff } from "../../common/Diff";
import { Time } from "../../common/time";
import { checked } from "../../common/userErrors";
import { texts } from "../../texts";
import type { GuardRuleDetails } from "./guard";
import { Trial } from "./Trial";

const t = texts.rules;

type Version = Pick<GuardRuleDetails, "expression" | "message" | "enforcement">;

/** A version as text, so that two of them can be compared. */
const write = ({ expression, message, enforcement }: Version): string =>
  `${expression}\n\n${t.message}: ${message}\n${t.enforcement}: ${t.enforcements[enforcement]}`;

export function Versions({ rule }: { rule: GuardRuleDetails }) {
  const { client, can } = useApi();
  const queries = useQueryClient();
  const [opened, setOpened] = useState<number | null>(null);
  const [restored, setRestored] = useState<number | null>(null);
  const restoring = useMutation<void, Error, void>({
    mutationFn: async () => {
      const variables = { id: rule.id, version: restored };
      checked((await client.request(PublishGuardRuleDocument, variables)).publishGuardRule);
    },
    onSuccess: async () => {
      setRestored(null);
      await queries.invalidateQueries();
    },
  });
  const versions = [...rule.versions].reverse();
  const latest = versions[0];
  const target = rule.versions.find(({ number }) => number === restored);

  return (
    <section aria-labelledby="versions">
      <Stack gap="xs">
        <Title order={2} size="h4" id="versions">
          {t.versions}
        </Title>
        {!latest && <Text>{t.neverPublished}</Text>}
        {latest && rule.hasUnpublishedChanges && (
          <>
            <Text size="sm">{t.draftChanges}</Text>
            <Diff before={write(latest)} after={write(rule)} label={t.draftChanges} />
          </>
        )}
        {versions.map((version, index) => {
          const previous = versions[index + 1];
          const isCurrent = rule.publishedVersion?.number === version.number;
          return (
            <Stack key={version.number} gap={4}>
              <Group justify="space-between">
                <Text>
                  {t.versionNumber(version.number)}
                  {isCurrent && ` (${t.inEffect})`}
                  <Text component="span" size="sm" c="dimmed">
                    {" "}
                    <Time at={version.publishedAt} /> {texts.event.by(version.publishedBy)}
                  </Text>
                </Text>
                <Group gap="xs">
                  <Button
                    variant="default"
                    size="xs"
                    aria-expanded={opened === version.number}
                    aria-label={t.showVersion(version.number)}
                    onClick={() => setOpened((now) => (now === version.number ? null : version.number))}
                  >
                    {previous ? t.showChanges : t.show}
                  </Button>
                  {can("RULE_MANAGE") && !isCurrent && (
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
                  before={previous ? write(previous) : ""}
                  after={write(version)}
                  label={t.changesOfVersion(version.number)}
                />
              )}
            </Stack>
          );
        })}
      </Stack>
      <Confirm
        isOpen={target !== undefined}
        onClose={() => setRestored(null)}
        title={t.restoreVersion(restored ?? 0)}
        action={t.publishNow}
        mutation={restoring}
      >
        <Text>{t.restoreHint}</Text>
        {target && latest && <Diff before={write(latest)} after={write(target)} label={t.showChanges} />}
        {target && <Trial expression={target.expression} eventTypeId={rule.eventType?.id ?? null} isAutomatic />}
      </Confirm>
    </section>
  );
}
