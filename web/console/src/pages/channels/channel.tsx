// A channel: its state, its deliveries, and what can be done with it.

import { Alert, Anchor, Box, Button, Group, NativeSelect, Stack, Table, Text, Title, VisuallyHidden } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { useApi, useApiQuery } from "../../api/client";
import {
  ChannelDocument,
  type ChannelRowFragment,
  DeleteChannelDocument,
  DeliveriesDocument,
  type DeliveriesQuery,
  type DeliveryState,
  RedeliverDocument,
  RotateChannelSecretDocument,
  TestChannelDocument,
  UpdateChannelDocument,
} from "../../api/generated";
import { useApiPages } from "../../api/pages";
import { useAddressParameters, withParameters } from "../../common/address";
import { AuditLink } from "../../common/AuditLink";
import { Confirm } from "../../common/Confirm";
import { Dialog } from "../../common/Dialog";
import { formatDuration } from "../../common/duration";
import { Conditions } from "../../common/Conditions";
import { PagedList } from "../../common/PagedList";
import { Secret } from "../../common/Secret";
import { Time } from "../../common/time";
import { checked } from "../../common/userErrors";
import { Empty, ErrorState, Loading, SaveError } from "../../shell/states";
import { texts } from "../../texts";
import { State } from ".";
import { ChannelForm } from "./ChannelForm";

const t = texts.channels;
const REFRESH_MS = 5_000;
const STATES = ["PENDING", "DELIVERED", "FAILED"] as const;

export default function ChannelPage() {
  const id = useParams().id!;
  const { data, error, refetch } = useApiQuery(ChannelDocument, { id }, { refetchMs: REFRESH_MS });
  const channel = data?.channel;

  if (error) return <ErrorState error={error} onRetry={() => void refetch()} />;
  if (!data) return <Loading />;
  if (!channel) {
    return (
      <Empty title={t.notFound} isPage>
        <Anchor component={Link} to="/channels" underline="always">
          {t.title}
        </Anchor>
      </Empty>
    );
  }
  return (
    <Stack>
      <Anchor component={Link} to="/channels" underline="always" size="sm">
        {t.back}
      </Anchor>
      <Title order={1} size="h2" style={{ overflowWrap: "anywhere" }}>
        {channel.name}
      </Title>
      <Actions channel={channel} />
      <Table>
        <Table.Tbody>
          {(
            [
              [t.kind, t.kinds[channel.kind]],
              [t.url, channel.url],
              [t.state, <State key="state" channel={channel} />],
              [t.triggers, channel.triggers.map((trigger) => t.triggerNames[trigger]).join(", ")],
              [
                t.filter,
                channel.filter ? (
                  <Conditions key="filter" filter={channel.filter} />
                ) : (
                  t.everyEvent
                ),
              ],
              [t.lag, formatDuration(`PT${channel.lagSeconds}S`)],
              [t.lastError, channel.lastError ?? t.noError],
            ] as const
          ).map(([label, value]) => (
            <Table.Tr key={label}>
              <Table.Th scope="row" w="30%">
                {label}
              </Table.Th>
              <Table.Td style={{ overflowWrap: "anywhere" }}>{value}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Deliveries channel={channel} />
      <AuditLink id={channel.id} />
    </Stack>
  );
}

type Question = "rotate" | "delete";

function Actions({ channel }: { channel: ChannelRowFragment }) {
  const { client, can } = useApi();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [question, setQuestion] = useState<Question | null>(null);
  const [isEditing, setIsEditing] = useState(false);
  const { id, name, kind, enabled } = channel;
  const reload = () => queries.invalidateQueries();
  const testing = useMutation({
    mutationFn: async () => checked((await client.request(TestChannelDocument, { id })).testChannel).delivery!,
    onSuccess: reload,
  });
  const switching = useMutation({
    mutationFn: async () =>
      checked((await client.request(UpdateChannelDocument, { input: { id, enabled: !enabled } })).updateChannel),
    onSuccess: reload,
  });
  const rotating = useMutation<string, Error, void>({
    mutationFn: async () =>
      checked((await client.request(RotateChannelSecretDocument, { id })).rotateChannelSecret).secret!,
    onSuccess: () => setQuestion(null),
  });
  const deleting = useMutation<void, Error, void>({
    mutationFn: async () => {
      checked((await client.request(DeleteChannelDocument, { id })).deleteChannel);
    },
    onSuccess: async () => {
      await navigate("/channels");
      await reload();
    },
  });
  const failure = testing.error ?? switching.error;

  return (
    <>
      <Group gap="xs">
        <Button loading={testing.isPending} onClick={() => testing.mutate()}>
          {t.test}
        </Button>
        {can("EVENT_READ") && (
          <>
            <Button variant="default" onClick={() => setIsEditing(true)}>
              {t.change}
            </Button>
            <Button variant="default" loading={switching.isPending} onClick={() => switching.mutate()}>
              {enabled ? t.disable : t.enable}
            </Button>
          </>
        )}
        {kind === "WEBHOOK" && (
          <Button variant="default" onClick={() => setQuestion("rotate")}>
            {t.rotate}
          </Button>
        )}
        <Button variant="default" onClick={() => setQuestion("delete")}>
          {t.delete}
        </Button>
      </Group>
      {!enabled && <Text>{t.disabledHint}</Text>}
      <SaveError error={failure} />
      {testing.data && (
        <Alert variant="default" role="status" title={t.testResults[testing.data.state]}>
          {testing.data.error ?? (kind === "WEBHOOK" && t.responded(testing.data.responseStatus))}
        </Alert>
      )}
      <Confirm
        isOpen={question === "rotate"}
        onClose={() => setQuestion(null)}
        title={t.rotate}
        action={t.rotate}
        mutation={rotating}
      >
        {t.rotateHint}
      </Confirm>
      <Confirm
        isOpen={question === "delete"}
        onClose={() => setQuestion(null)}
        title={t.deleteTitle(name)}
        action={t.delete}
        isDangerous
        mutation={deleting}
      >
        {t.deleteHint}
      </Confirm>
      {rotating.data && (
        <Dialog isOpen onClose={rotating.reset} title={t.secret}>
          <Secret
            secret={rotating.data}
            label={t.secret}
            hint={t.secretHint}
            copyLabel={t.copySecret}
            onClose={rotating.reset}
          />
        </Dialog>
      )}
      {isEditing && <ChannelForm channel={channel} onClose={() => setIsEditing(false)} />}
    </>
  );
}

type Delivery = NonNullable<DeliveriesQuery["channel"]>["deliveries"]["nodes"][number];
const NO_DELIVERIES = { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } };

function Deliveries({ channel }: { channel: ChannelRowFragment }) {
  const { client, can } = useApi();
  const queries = useQueryClient();
  const [parameters, changeParameters] = useAddressParameters();
  const state = STATES.find((each) => each === parameters.get("state")) ?? null;
  const pages = useApiPages(
    DeliveriesDocument,
    { id: channel.id, state, withEvent: can("EVENT_READ") },
    (data) => data.channel?.deliveries ?? NO_DELIVERIES,
    { refetchMs: REFRESH_MS },
  );
  const repeating = useMutation({
    mutationFn: async (deliveryId: string) =>
      checked((await client.request(RedeliverDocument, { channelId: channel.id, deliveryId })).redeliver),
    onSuccess: () => queries.invalidateQueries(),
  });

  const repeatButton = (delivery: Delivery) =>
    channel.enabled &&
    delivery.state !== "PENDING" &&
    delivery.trigger !== "TEST" && (
      <Button
        variant="default"
        size="xs"
        aria-label={t.repeatOf(describe(delivery))}
        loading={repeating.isPending && repeating.variables === delivery.id}
        onClick={() => repeating.mutate(delivery.id)}
      >
        {t.repeat}
      </Button>
    );

  return (
    <section aria-labelledby="deliveries">
      <Stack gap="xs">
        <Title order={2} size="h4" id="deliveries">
          {t.deliveries}
        </Title>
        <NativeSelect
          w="fit-content"
          label={t.state}
          value={state ?? ""}
          onChange={({ currentTarget: { value } }) =>
            changeParameters(withParameters({ state: value }))
          }
          data={[
            { value: "", label: t.anyState },
            ...STATES.map((value) => ({ value, label: t.states[value as DeliveryState] })),
          ]}
        />
        <SaveError error={repeating.error} />
        <PagedList pages={pages} empty={<Empty title={t.noDeliveries} />}>
          {(deliveries) => (
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t.message}</Table.Th>
                  <Table.Th>{t.state}</Table.Th>
                  <Table.Th visibleFrom="sm">{t.lastAttempt}</Table.Th>
                  <Table.Th visibleFrom="sm">
                    <VisuallyHidden>{texts.actions}</VisuallyHidden>
                  </Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {deliveries.map((delivery) => (
                  <Table.Tr key={delivery.id}>
                    <Table.Td style={{ overflowWrap: "anywhere" }}>
                      <Message delivery={delivery} />
                      {/* The column of the buttons is not shown where the page is narrow. */}
                      <Box hiddenFrom="sm">{repeatButton(delivery)}</Box>
                    </Table.Td>
                    <Table.Td style={{ overflowWrap: "anywhere" }}>
                      <Result delivery={delivery} />
                    </Table.Td>
                    <Table.Td visibleFrom="sm">
                      {delivery.lastAttemptAt && <Time at={delivery.lastAttemptAt} />}
                    </Table.Td>
                    <Table.Td ta="end" visibleFrom="sm">
                      {repeatButton(delivery)}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          )}
        </PagedList>
      </Stack>
    </section>
  );
}

const describe = ({ trigger, event }: Delivery): string => event?.summary ?? t.messages[trigger];

function Message({ delivery }: { delivery: Delivery }) {
  const { event, trigger, createdAt } = delivery;
  return (
    <>
      {event ? (
        <Anchor component={Link} to={`/events/${event.id}`} underline="always" fz="inherit">
          {event.summary}
        </Anchor>
      ) : (
        <Text>{trigger === "TEST" ? t.messages.TEST : t.deletedEvent}</Text>
      )}
      <Text size="sm" c="dimmed">
        {trigger !== "TEST" && `${t.messages[trigger]}, `}
        <Time at={createdAt} />
      </Text>
    </>
  );
}

function Result({ delivery }: { delivery: Delivery }) {
  const { state, attempts, error, responseStatus, nextAttemptAt } = delivery;
  return (
    <>
      <Text>{t.states[state]}</Text>
      <Text size="sm" c="dimmed">
        {t.attempts(attempts)}
        {nextAttemptAt && attempts > 0 && (
          <>
            {t.nextAttempt} <Time at={nextAttemptAt} />
          </>
        )}
      </Text>
      {(error ?? responseStatus) !== null && (
        <Text size="sm">{error ?? t.responded(responseStatus)}</Text>
      )}
    </>
  );
}
