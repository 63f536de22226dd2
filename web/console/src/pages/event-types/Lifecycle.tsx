// The state of an event type, and the states that it can be moved to.

import { Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate } from "react-router";
import { useApi } from "../../api/client";
import { DeleteEventTypeDocument, type EventTypeState, TransitionEventTypeDocument } from "../../api/generated";
import { Confirm } from "../../common/Confirm";
import { Time } from "../../common/time";
import { SAVED } from "../../common/UnsavedChanges";
import { checked } from "../../common/userErrors";
import { texts } from "../../texts";
import type { EventTypeDetails } from "./draft";

const t = texts.eventTypes;

export function Lifecycle({ type }: { type: EventTypeDetails }) {
  const { client, can } = useApi();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [target, setTarget] = useState<EventTypeState | null>(null);
  const [isDeleting, setIsDeleting] = useState(false);
  const [sunset, setSunset] = useState("");
  const moving = useMutation<void, Error, void>({
    mutationFn: async () => {
      const sunsetAt = target === "DEPRECATED" && sunset ? new Date(sunset).toISOString() : null;
      const variables = { id: type.id, to: target!, sunsetAt };
      checked((await client.request(TransitionEventTypeDocument, variables)).transitionEventType);
    },
    onSuccess: async () => {
      setTarget(null);
      await queries.invalidateQueries();
    },
  });
  const deleting = useMutation<void, Error, void>({
    mutationFn: async () => {
      checked((await client.request(DeleteEventTypeDocument, { id: type.id })).deleteEventType);
    },
    onSuccess: async () => {
      await navigate("/event-types", { state: SAVED });
      await queries.invalidateQueries();
    },
  });
  const canDelete = type.events?.totalCount === 0;

  return (
    <Stack gap="xs">
      <Text>
        {t.stateHints[type.state]}
        {type.sunsetAt && (
          <>
            {" "}
            {t.sunset} <Time at={type.sunsetAt} />.
          </>
        )}
      </Text>
      {can("EVENT_TYPE_MANAGE") && (
        <Group gap="xs" role="group" aria-label={t.lifecycle}>
          {type.transitions.map((state) => (
            <Button key={state} variant="default" onClick={() => setTarget(state)}>
              {t.moves[state]}
            </Button>
          ))}
          {canDelete && (
            <Button variant="default" onClick={() => setIsDeleting(true)}>
              {t.delete}
            </Button>
          )}
        </Group>
      )}
      <Confirm
        isOpen={target !== null}
        onClose={() => setTarget(null)}
        title={t.moveTitle(type.name)}
        action={target ? t.moves[target] : ""}
        mutation={moving}
      >
        <Text>{target && t.stateHints[target]}</Text>
        {target === "DEPRECATED" && (
          <TextInput
            type="datetime-local"
            label={t.sunsetAt}
            description={t.sunsetHint}
            value={sunset}
            onChange={({ currentTarget }) => setSunset(currentTarget.value)}
          />
        )}
      </Confirm>
      <Confirm
        isOpen={isDeleting}
        onClose={() => setIsDeleting(false)}
        title={t.deleteTitle}
        action={t.delete}
        isDangerous
        mutation={deleting}
      >
        {t.deleteHint}
      </Confirm>
    </Stack>
  );
}
