// A dialog that links selected events to one of them.

import { Button, Group, NativeSelect, Stack, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useApi } from "../../api/client";
import { CorrelateEventsDocument, type Relation } from "../../api/generated";
import { Dialog } from "../../common/Dialog";
import { checked } from "../../common/userErrors";
import { SaveError } from "../../shell/states";
import { texts } from "../../texts";

const t = texts.events;
const RELATIONS: Relation[] = ["CAUSE_OF", "CAUSED_BY", "RELATED"];

interface Props {
  events: readonly { id: string; summary: string }[];
  onClose: () => void;
  onDone: () => void;
}

export function CorrelateDialog({ events, onClose, onDone }: Props) {
  const { client } = useApi();
  const [chosen, setChosen] = useState("");
  const [relation, setRelation] = useState(RELATIONS[0]!);
  // The oldest event, which is the last in the list, is most likely the cause.
  const main = events.find(({ id }) => id === chosen) ?? events.at(-1)!;
  const linking = useMutation({
    mutationFn: async () => {
      const relatedIds = events.map(({ id }) => id).filter((id) => id !== main.id);
      const variables = { eventId: main.id, relatedIds, relation };
      return checked((await client.request(CorrelateEventsDocument, variables)).correlateEvents);
    },
    onSuccess: onDone,
  });

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    linking.mutate();
  }

  return (
    <Dialog isOpen onClose={onClose} title={t.correlateTitle(events.length)}>
      <form onSubmit={submit}>
        <Stack>
          <NativeSelect
            label={t.correlatedEvent}
            value={main.id}
            onChange={({ currentTarget }) => setChosen(currentTarget.value)}
            data={events.map(({ id, summary }) => ({ value: id, label: summary }))}
            data-autofocus
          />
          <NativeSelect
            label={texts.event.relation}
            value={relation}
            onChange={({ currentTarget }) => setRelation(currentTarget.value as Relation)}
            data={RELATIONS.map((value) => ({ value, label: texts.event.relations[value] }))}
          />
          <Text>{t.correlatedOthers(events.length - 1)}</Text>
          <SaveError error={linking.error} />
          <Group>
            <Button type="submit" loading={linking.isPending}>
              {t.correlate}
            </Button>
            <Button variant="default" onClick={onClose}>
              {t.cancel}
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
