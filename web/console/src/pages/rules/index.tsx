// The lists of guard rules and duplication rules.

import { ActionIcon, Anchor, Badge, Button, Group, Stack, Table, Text, Title } from "@mantine/core";
import { IconArrowDown, IconArrowUp, IconPlus } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link } from "react-router";
import { useApi } from "../../api/client";
import {
  type DuplicationRuleRowFragment,
  DuplicationRulesDocument,
  GuardRulesDocument,
  UpdateDuplicationRuleDocument,
} from "../../api/generated";
import { useApiPages } from "../../api/pages";
import { formatDuration } from "../../common/duration";
import { PagedList } from "../../common/PagedList";
import { checked } from "../../common/userErrors";
import { Empty, SaveError } from "../../shell/states";
import { texts } from "../../texts";

const t = texts.rules;

export default function RulesPage() {
  const { can } = useApi();
  return (
    <Stack>
      <Title order={1} size="h2">
        {t.title}
      </Title>
      {!can("RULE_MANAGE") && <Text>{t.needsManage}</Text>}
      <GuardRules />
      <DuplicationRules />
    </Stack>
  );
}

interface SectionProps {
  id: string;
  title: string;
  hint: string;
  path: string;
  action: string;
  children: ReactNode;
}

function Section({ id, title, hint, path, action, children }: SectionProps) {
  const { can } = useApi();
  return (
    <section aria-labelledby={id}>
      <Stack gap="xs">
        <Group justify="space-between">
          <Title order={2} size="h4" id={id}>
            {title}
          </Title>
          {can("RULE_MANAGE") && (
            <Button component={Link} to={path} leftSection={<IconPlus size={16} />}>
              {action}
            </Button>
          )}
        </Group>
        <Text size="sm" c="dimmed">
          {hint}
        </Text>
        {children}
      </Stack>
    </section>
  );
}

interface RuleNameProps {
  path: string;
  name: string;
  eventType: { name: string } | null | undefined;
}

function RuleName({ path, name, eventType }: RuleNameProps) {
  return (
    <Table.Td style={{ overflowWrap: "anywhere" }}>
      <Anchor component={Link} to={path} underline="always" fz="inherit">
        {name}
      </Anchor>
      <Text size="sm" c="dimmed">
        {eventType?.name ?? t.allEvents}
      </Text>
    </Table.Td>
  );
}

function GuardRules() {
  const pages = useApiPages(
    GuardRulesDocument,
    {},
    (data) => data.guardRules,
  );
  return (
    <Section
      id="guard-rules"
      title={t.guardRules}
      hint={t.guardHint}
      path="/rules/guard/new"
      action={t.newGuardRule}
    >
      <PagedList
        pages={pages}
        empty={
          <Empty title={t.noGuardRules}>
            <Text>{t.noGuardRulesHint}</Text>
          </Empty>
        }
      >
        {(items) => (
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t.name}</Table.Th>
                <Table.Th>{t.state}</Table.Th>
                <Table.Th visibleFrom="sm">{t.enforcement}</Table.Th>
                <Table.Th visibleFrom="sm">{t.version}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {items.map((rule) => (
                <Table.Tr key={rule.id}>
                  <RuleName path={`/rules/guard/${rule.id}`} {...rule} />
                  <Table.Td>
                    <Text size="sm">{t.states[rule.state]}</Text>
                    {rule.state === "PUBLISHED" && rule.hasUnpublishedChanges && (
                      <Text size="sm" c="dimmed">
                        {t.unpublished}
                      </Text>
                    )}
                  </Table.Td>
                  <Table.Td visibleFrom="sm">{t.enforcements[rule.enforcement]}</Table.Td>
                  <Table.Td visibleFrom="sm">{rule.publishedVersion?.number ?? ""}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
      </PagedList>
    </Section>
  );
}

function DuplicationRules() {
  const { client, can } = useApi();
  const queries = useQueryClient();
  const pages = useApiPages(
    DuplicationRulesDocument,
    {},
    (response) => response.duplicationRules,
  );
  const total = pages.data?.pages[0]?.totalCount ?? 0;
  const move = useMutation({
    mutationFn: async ({ id, position }: { id: string; position: number }) =>
      checked(
        (await client.request(UpdateDuplicationRuleDocument, { input: { id, position } }))
          .updateDuplicationRule,
      ),
    onSuccess: () => queries.invalidateQueries(),
  });

  return (
    <Section
      id="duplication-rules"
      title={t.duplicationRules}
      hint={t.duplicationHint}
      path="/rules/duplication/new"
      action={t.newDuplicationRule}
    >
      <SaveError error={move.error} />
      <PagedList
        pages={pages}
        empty={
          <Empty title={t.noDuplicationRules}>
            <Text>{t.noDuplicationRulesHint}</Text>
          </Empty>
        }
      >
        {(items) => (
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t.name}</Table.Th>
                <Table.Th visibleFrom="sm">{t.effect}</Table.Th>
                <Table.Th>{t.matches}</Table.Th>
                {can("RULE_MANAGE") && <Table.Th>{t.order}</Table.Th>}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {items.map((rule) => (
                <Table.Tr key={rule.id}>
                  <RuleName path={`/rules/duplication/${rule.id}`} {...rule} />
                  <Table.Td visibleFrom="sm">
                    <Effect rule={rule} />
                  </Table.Td>
                  <Table.Td>{rule.matchCount.toLocaleString(texts.dateLocale)}</Table.Td>
                  {can("RULE_MANAGE") && (
                    <Table.Td>
                      <Group gap={4} wrap="nowrap">
                        {([
                          [t.moveUp(rule.name), -1, IconArrowUp],
                          [t.moveDown(rule.name), 1, IconArrowDown],
                        ] as const).map(([label, step, Icon]) => {
                          const position = rule.position + step;
                          return (
                            <ActionIcon
                              key={step}
                              variant="default"
                              aria-label={label}
                              title={label}
                              disabled={position < 0 || position >= total || move.isPending}
                              onClick={() => move.mutate({ id: rule.id, position })}
                            >
                              <Icon size={16} />
                            </ActionIcon>
                          );
                        })}
                      </Group>
                    </Table.Td>
                  )}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
      </PagedList>
    </Section>
  );
}

function Effect({ rule }: { rule: DuplicationRuleRowFragment }) {
  return (
    <Stack gap={2} align="start">
      <Text size="sm">{t.equal(rule.fingerprint, formatDuration(rule.window))}</Text>
      <Group gap="xs">
        <Text size="sm" c="dimmed">
          {t.actions[rule.action]}
        </Text>
        {!rule.enabled && (
          <Badge variant="default" tt="none">
            {t.disabled}
          </Badge>
        )}
      </Group>
    </Stack>
  );
}
