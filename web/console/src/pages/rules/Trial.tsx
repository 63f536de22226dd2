// Evaluating an expression for stored events, before it is published.

import { Anchor, Button, Group, NativeSelect, Stack, Table, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link } from "react-router";
import { useApi } from "../../api/client";
import { TryGuardRuleDocument, type TryGuardRuleQuery } from "../../api/generated";
import { SeverityLabel } from "../../common/severity";
import { Time } from "../../common/time";
import { checked } from "../../common/userErrors";
import { ErrorState } from "../../shell/states";
import { texts } from "../../texts";

const t = texts.rules;
const COUNTS = [100, 200, 500];
const MAX_EXAMPLES = 10;

interface Props {
  expression: string;
  eventTypeId: string | null;
  /** Tries the expression when it is displayed. */
  isAutomatic?: boolean;
}

export function Trial({ expression, eventTypeId, isAutomatic = false }: Props) {
  const { client } = useApi();
  const [last, setLast] = useState(COUNTS[0]!);
  const trial = useMutation({
    mutationFn: async () =>
      checked(
        (await client.request(TryGuardRuleDocument, { expression, eventTypeId, last })).tryGuardRule,
      ),
  });
  const { mutate, reset } = trial;
  useEffect(() => {
    if (isAutomatic) mutate();
    else reset();
  }, [isAutomatic, mutate, reset, expression, eventTypeId]);

  return (
    <Stack gap="xs" align="start">
      <Group align="end" gap="xs">
        <NativeSelect
          label={t.trialSize}
          value={String(last)}
          onChange={({ currentTarget }) => setLast(Number(currentTarget.value))}
          data={COUNTS.map((count) => ({ value: String(count), label: t.lastEvents(count) }))}
        />
        <Button
          variant="default"
          loading={trial.isPending}
          disabled={!expression.trim()}
          onClick={() => mutate()}
        >
          {t.try}
        </Button>
      </Group>
      {trial.error && <ErrorState title={t.trialFailed} error={trial.error} />}
      {trial.data && <Result trial={trial.data} />}
    </Stack>
  );
}

function Result({ trial }: { trial: TryGuardRuleQuery["tryGuardRule"] }) {
  const { checked: count, rejected, notEvaluable, failures } = trial;
  const shown = failures.slice(0, MAX_EXAMPLES);
  return (
    <Stack gap={4} w="100%">
      <Text role="status" fw={600}>
        {count === 0 ? t.noEvents : t.trial(count, rejected, notEvaluable)}
      </Text>
      {notEvaluable > 0 && <Text size="sm">{t.notEvaluableHint}</Text>}
      {shown.length > 0 && (
        <Table aria-label={t.examples}>
          <Table.Tbody>
            {shown.map(({ message, event: { id, severity, summary, occurredAt } }) => (
              <Table.Tr key={id}>
                <Table.Td w={40}>
                  <SeverityLabel severity={severity} isCompact />
                </Table.Td>
                <Table.Td style={{ overflowWrap: "anywhere" }}>
                  <Anchor component={Link} to={`/events/${id}`} target="_blank" underline="always" fz="inherit">
                    {summary}
                  </Anchor>
                  <Text size="sm">{message}</Text>
                  <Text size="sm" c="dimmed">
                    <Time at={occurredAt} />
                  </Text>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Stack>
  );
}
