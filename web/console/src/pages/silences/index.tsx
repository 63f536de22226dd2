// The silences of the organization: what they suppress, until when, and why.

import { Anchor, Box, Button, Group, NativeSelect, Stack, Table, Text, Title, VisuallyHidden } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { useApi } from "../../api/client";
import { ExpireSilenceDocument, type SilenceRowFragment, SilencesDocument } from "../../api/generated";
import { useApiPages } from "../../api/pages";
import { useAddressParameters, withParameters } from "../../common/address";
import { Confirm } from "../../common/Confirm";
import { Conditions } from "../../common/Conditions";
import { PagedList } from "../../common/PagedList";
import { Time } from "../../common/time";
import { checked } from "../../common/userErrors";
import { Empty } from "../../shell/states";
import { texts } from "../../texts";
import { SilenceForm } from "./SilenceForm";

const t = texts.silences;
const isOver = ({ endsAt }: SilenceRowFragment): boolean => Date.parse(endsAt) <= Date.now();

export default function SilencesPage() {
  const { client, can } = useApi();
  const queries = useQueryClient();
  const [parameters, changeParameters] = useAddressParameters();
  const state = parameters.get("state") === "inactive" ? "inactive" : "active";
  const pages = useApiPages(SilencesDocument, { active: state === "active" }, (data) => data.silences);
  const [edited, setEdited] = useState<SilenceRowFragment | "new" | null>(null);
  const [ended, setEnded] = useState<SilenceRowFragment | null>(null);
  const ending = useMutation<void, Error, void>({
    mutationFn: async () => {
      checked((await client.request(ExpireSilenceDocument, { id: ended!.id })).expireSilence);
    },
    onSuccess: async () => {
      setEnded(null);
      await queries.invalidateQueries();
    },
  });

  return (
    <Stack>
      <Group justify="space-between">
        <Title order={1} size="h2">
          {t.title}
        </Title>
        {can("EVENT_UPDATE") && (
          <Button leftSection={<IconPlus size={16} />} onClick={() => setEdited("new")}>
            {t.create}
          </Button>
        )}
      </Group>
      <Group>
        <NativeSelect
          label={t.state}
          value={state}
          onChange={({ currentTarget: { value } }) =>
            changeParameters(withParameters({ state: value }))
          }
          data={(["active", "inactive"] as const).map((value) => ({ value, label: t.states[value] }))}
        />
      </Group>
      <PagedList pages={pages} empty={<Empty title={t.none[state]}>{t.noneHint}</Empty>}>
        {(silences) => (
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t.silence}</Table.Th>
                <Table.Th visibleFrom="sm">{t.period}</Table.Th>
                <Table.Th>{t.silenced}</Table.Th>
                {can("EVENT_UPDATE") && (
                  <Table.Th visibleFrom="sm">
                    <VisuallyHidden>{texts.actions}</VisuallyHidden>
                  </Table.Th>
                )}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {silences.map((silence) => (
                <Table.Tr key={silence.id}>
                  <Table.Td style={{ overflowWrap: "anywhere" }}>
                    <Text>{silence.comment || t.noComment}</Text>
                    <Conditions filter={silence.filter} />
                    <Text size="sm" c="dimmed">
                      {t.createdBy(silence.createdBy)}
                    </Text>
                    <Box hiddenFrom="sm">
                      <Actions silence={silence} onEdit={setEdited} onEnd={setEnded} />
                    </Box>
                  </Table.Td>
                  <Table.Td visibleFrom="sm">
                    <Time at={silence.startsAt} /> – <Time at={silence.endsAt} />
                  </Table.Td>
                  <Table.Td>
                    <Anchor component={Link} underline="always" fz="inherit" to={`/events?silencedBy=${silence.id}`}>
                      {t.count(silence.silencedCount)}
                    </Anchor>
                  </Table.Td>
                  {can("EVENT_UPDATE") && (
                    <Table.Td visibleFrom="sm">
                      <Actions silence={silence} onEdit={setEdited} onEnd={setEnded} />
                    </Table.Td>
                  )}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
      </PagedList>
      {edited && <SilenceForm silence={edited === "new" ? null : edited} onClose={() => setEdited(null)} />}
      <Confirm
        isOpen={ended !== null}
        onClose={() => setEnded(null)}
        title={t.endOf(ended?.comment ?? "")}
        action={t.end}
        mutation={ending}
      >
        {t.endHint}
      </Confirm>
    </Stack>
  );
}

interface ActionsProps {
  silence: SilenceRowFragment;
  onEdit: (silence: SilenceRowFragment) => void;
  onEnd: (silence: SilenceRowFragment) => void;
}

/** In a column of their own, or below the silence where the page is narrow. */
function Actions({ silence, onEdit, onEnd }: ActionsProps) {
  const { can } = useApi();
  if (!can("EVENT_UPDATE") || isOver(silence)) return null;
  return (
    <Group gap={4} wrap="nowrap">
      <Button variant="default" size="xs" aria-label={t.changeOf(silence.comment)} onClick={() => onEdit(silence)}>
        {t.change}
      </Button>
      <Button variant="default" size="xs" aria-label={t.endOf(silence.comment)} onClick={() => onEnd(silence)}>
        {t.end}
      </Button>
    </Group>
  );
}
