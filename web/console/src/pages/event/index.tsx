// One event: its attributes, custom values, content and history.

import { Button, CopyButton, Group, Stack, Text, Title } from "@mantine/core";
import { IconArrowBackUp, IconCheck, IconCircleCheck, IconCopy, IconPencil, IconTrash } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { Link, useLocation, useNavigate, useParams } from "react-router";
import { useApi, useApiQuery } from "../../api/client";
import {
  AcknowledgeEventDocument,
  DeleteEventDocument,
  EventDocument,
  type EventQuery,
  ReopenEventDocument,
  ResolveEventDocument,
  UnacknowledgeEventDocument,
} from "../../api/generated";
import { Dialog } from "../../common/Dialog";
import { NoteDialog } from "../../common/NoteDialog";
import { Problems } from "../../common/Problems";
import { SeverityLabel } from "../../common/severity";
import { checked, type Problem } from "../../common/userErrors";
import { ErrorState, Loading, SaveError } from "../../shell/states";
import { texts } from "../../texts";
import { Attributes, FieldValues } from "./Attributes";
import { CloudEvent } from "./CloudEvent";
import { Correlations } from "./Correlations";
import { useFollowedEvent } from "./follow";
import { History } from "./History";
import classes from "./index.module.css";
import { NotFound } from "./NotFound";

const Content = lazy(() => import("./Content"));

const t = texts.event;

export type EventDetails = NonNullable<EventQuery["event"]>;

export default function EventPage() {
  const id = useParams()["id"]!;
  const { data, error, refetch } = useApiQuery(EventDocument, { id });
  useFollowedEvent(id);

  if (error) return <ErrorState error={error} onRetry={() => void refetch()} />;
  if (!data) return <Loading />;
  if (!data.event) return <NotFound />;
  return <Details event={data.event} />;
}

function Details({ event }: { event: EventDetails }) {
  return (
    <Stack>
      <Stack gap={4}>
        <SeverityLabel severity={event.severity} />
        <Title order={1} size="h2" className={classes.title}>
          {event.summary}
        </Title>
      </Stack>
      <Actions event={event} />
      <Warnings event={event} />
      <Attributes event={event} />
      <FieldValues event={event} />
      {event.content && (
        <section aria-labelledby="event-content">
          <Title order={2} size="h4" id="event-content">
            {t.content}
          </Title>
          <Suspense fallback={<Loading />}>
            <Content text={event.content} />
          </Suspense>
        </section>
      )}
      <Correlations id={event.id} />
      <History id={event.id} fields={[...event.fieldValues, ...(event.eventType?.fields ?? [])]} />
      <CloudEvent json={event.cloudEvent} />
    </Stack>
  );
}

/** The guard rules that the event does not pass, and other warnings about a change that was just saved. */
function Warnings({ event }: { event: EventDetails }) {
  const { state } = useLocation() as { state: { warnings?: readonly Problem[] } | null };
  const violations = event.guardViolations;
  // The form has shown which fields it hides.
  const others = (state?.warnings ?? []).filter(
    ({ code, message }) => code !== "FIELD_HIDDEN" && violations.every((violation) => violation.message !== message),
  );
  return (
    <div role="status">
      <Stack>
        <Problems title={t.warnings} problems={others} isWarning />
        <Problems title={t.violations} problems={violations} isWarning />
      </Stack>
    </div>
  );
}

function Actions({ event }: { event: EventDetails }) {
  const { client, can } = useApi();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [isAcknowledging, setIsAcknowledging] = useState(false);
  const [isResolving, setIsResolving] = useState(false);
  const [isDeleting, setIsDeleting] = useState(false);
  const { id } = event;
  const refresh = () => queries.invalidateQueries();
  const acknowledge = useMutation({
    mutationFn: async (note: string | null) =>
      checked((await client.request(AcknowledgeEventDocument, { id, note })).acknowledgeEvent),
    onSuccess: async () => {
      setIsAcknowledging(false);
      await refresh();
    },
  });
  const unacknowledge = useMutation({
    mutationFn: async () =>
      checked((await client.request(UnacknowledgeEventDocument, { id })).unacknowledgeEvent),
    onSuccess: refresh,
  });
  const resolve = useMutation({
    mutationFn: async (note: string | null) =>
      checked((await client.request(ResolveEventDocument, { id, note })).resolveEvent),
    onSuccess: async () => {
      setIsResolving(false);
      await refresh();
    },
  });
  const reopen = useMutation({
    mutationFn: async () => checked((await client.request(ReopenEventDocument, { id })).reopenEvent),
    onSuccess: refresh,
  });
  const remove = useMutation({
    mutationFn: async () => checked((await client.request(DeleteEventDocument, { id })).deleteEvent),
    onSuccess: () => navigate("/events"),
  });

  return (
    <>
      <Group gap="xs">
        {can("EVENT_UPDATE") &&
          !event.resolvedAt &&
          (event.acknowledged ? (
            <Button
              variant="default"
              loading={unacknowledge.isPending}
              onClick={() => unacknowledge.mutate()}
            >
              {t.unacknowledge}
            </Button>
          ) : (
            <Button leftSection={<IconCheck size={16} />} onClick={() => setIsAcknowledging(true)}>
              {t.acknowledge}
            </Button>
          ))}
        {can("EVENT_UPDATE") &&
          (event.resolvedAt ? (
            <Button
              variant="default"
              leftSection={<IconArrowBackUp size={16} />}
              loading={reopen.isPending}
              onClick={() => reopen.mutate()}
            >
              {t.reopen}
            </Button>
          ) : (
            <Button
              variant="default"
              leftSection={<IconCircleCheck size={16} />}
              onClick={() => setIsResolving(true)}
            >
              {t.resolve}
            </Button>
          ))}
        {can("EVENT_UPDATE") && (
          <Button
            variant="default"
            leftSection={<IconPencil size={16} />}
            component={Link}
            to={`/events/${id}/edit`}
          >
            {t.edit}
          </Button>
        )}
        <CopyButton value={location.href}>
          {({ copied, copy }) => (
            <Button variant="default" leftSection={<IconCopy size={16} />} onClick={copy}>
              {copied ? t.copied : t.copyLink}
            </Button>
          )}
        </CopyButton>
        {can("EVENT_DELETE") && (
          <Button
            variant="default"
            leftSection={<IconTrash size={16} />}
            onClick={() => setIsDeleting(true)}
          >
            {t.delete}
          </Button>
        )}
      </Group>
      <SaveError error={unacknowledge.error} />
      <SaveError error={reopen.error} />
      <NoteDialog
        isOpen={isAcknowledging}
        onClose={() => setIsAcknowledging(false)}
        title={t.acknowledge}
        action={t.acknowledge}
        onSubmit={acknowledge.mutate}
        isPending={acknowledge.isPending}
        error={acknowledge.error}
      />
      <NoteDialog
        isOpen={isResolving}
        onClose={() => setIsResolving(false)}
        title={t.resolve}
        action={t.resolve}
        onSubmit={resolve.mutate}
        isPending={resolve.isPending}
        error={resolve.error}
      />
      <Dialog isOpen={isDeleting} onClose={() => setIsDeleting(false)} title={t.deleteTitle}>
        <Stack>
          <SaveError error={remove.error} />
          <Text>{t.deleteWarning}</Text>
          <Group>
            <Button color="red.9" loading={remove.isPending} onClick={() => remove.mutate()}>
              {t.delete}
            </Button>
            <Button variant="default" data-autofocus onClick={() => setIsDeleting(false)}>
              {t.cancel}
            </Button>
          </Group>
        </Stack>
      </Dialog>
    </>
  );
}
