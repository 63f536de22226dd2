// The notification bell: the live number of open notifications, and the list of the newest ones.

import {
  ActionIcon,
  Anchor,
  Box,
  Button,
  Checkbox,
  Drawer,
  Group,
  Indicator,
  Stack,
  Switch,
  Text,
} from "@mantine/core";
import { IconArrowBackUp, IconBell, IconCheck, IconCircleCheck } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { type Bell as LiveBell, type BellNotification, type LiveEvent, useBell } from "@tocsin/react";
import { useEffect, useState } from "react";
import { Link } from "react-router";
import { useApi } from "../api/client";
import { ExpireSilenceDocument, ReopenEventDocument, ResolveSelectedDocument } from "../api/generated";
import { SeverityLabel } from "../common/severity";
import { Time } from "../common/time";
import { checked } from "../common/userErrors";
import { useSession } from "../session/Session";
import { Empty, ErrorState, Loading, SaveError } from "../shell/states";
import { texts } from "../texts";
import { useAlerts } from "./alerts";
import classes from "./Bell.module.css";
import { BELL } from "./options";
import { usePageCount } from "./pageCount";
import { Snooze } from "./Snooze";

const t = texts.bell;

export function Bell() {
  const bell = useBell(BELL);
  const { reportError } = useSession();
  const [isOpen, setIsOpen] = useState(false);
  const { summary, error } = bell;
  const alerts = useAlerts(bell.notifications, bell.isLoading);
  usePageCount(summary?.openCount ?? 0);
  useEffect(() => reportError(error), [reportError, error]);

  const open = summary?.openCount ?? 0;
  const label = summary ? t.label(open, summary.unreadCount) : t.loading;
  return (
    <>
      <Indicator
        label={open > 99 ? "99+" : open}
        disabled={open === 0}
        color="red.9"
        size={18}
        offset={4}
        aria-hidden={false}
      >
        <ActionIcon
          variant="default"
          size="lg"
          aria-label={label}
          title={label}
          aria-haspopup="dialog"
          onClick={() => setIsOpen(true)}
        >
          <IconBell size={18} />
        </ActionIcon>
      </Indicator>
      <Drawer
        opened={isOpen}
        onClose={() => setIsOpen(false)}
        position="right"
        title={t.title}
        closeButtonProps={{ "aria-label": t.close }}
        attributes={{ header: { role: "presentation" } }}
      >
        <Notifications bell={bell} onLeave={() => setIsOpen(false)} />
        <Stack gap="xs" mt="lg">
          <Switch
            label={t.sound}
            checked={alerts.hasSound}
            onChange={({ currentTarget }) => alerts.setSound(currentTarget.checked)}
          />
          <Switch
            label={t.desktop}
            description={alerts.isDenied ? t.desktopDenied : undefined}
            checked={alerts.hasDesktop}
            disabled={alerts.isDenied}
            onChange={({ currentTarget }) => alerts.setDesktop(currentTarget.checked)}
          />
        </Stack>
      </Drawer>
    </>
  );
}

interface NotificationsProps {
  bell: LiveBell<LiveEvent>;
  onLeave: () => void;
}

function Notifications({ bell, onLeave }: NotificationsProps) {
  const { client, can } = useApi();
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const { notifications, isLoading, error } = bell;
  const acknowledge = useMutation({
    mutationFn: (ids: string[]) => bell.acknowledge(ids),
    onSuccess: () => setSelected(new Set()),
  });
  const acknowledgeSeen = useMutation({ mutationFn: () => bell.acknowledgeUpTo() });
  const markRead = useMutation({ mutationFn: () => bell.markRead() });
  const resolve = useMutation({
    mutationFn: async (id: string) =>
      checked((await client.request(ResolveSelectedDocument, { ids: [id] })).resolveEvents),
  });
  const reopen = useMutation({
    mutationFn: async (id: string) =>
      checked((await client.request(ReopenEventDocument, { id })).reopenEvent),
  });
  const [snoozeError, setSnoozeError] = useState<Error | null>(null);
  const failure =
    acknowledge.error ??
    acknowledgeSeen.error ??
    markRead.error ??
    resolve.error ??
    reopen.error ??
    snoozeError;
  const openIds = notifications.filter(({ event }) => event.status === "OPEN").map(({ event }) => event.id);
  const selectedIds = openIds.filter((id) => selected.has(id));

  function toggle(id: string): void {
    const next = new Set(selected);
    if (!next.delete(id)) next.add(id);
    setSelected(next);
  }

  if (error) return <ErrorState error={error} onRetry={bell.reload} />;
  if (isLoading && notifications.length === 0) return <Loading />;
  if (notifications.length === 0) return <Empty title={t.none} />;
  return (
    <Stack gap="xs">
      <SaveError error={failure} />
      <Group gap="xs">
        {can("EVENT_UPDATE") &&
          (selectedIds.length > 0 ? (
            <Button
              size="xs"
              loading={acknowledge.isPending}
              onClick={() => acknowledge.mutate(selectedIds)}
            >
              {t.acknowledgeSelected(selectedIds.length)}
            </Button>
          ) : (
            <Button
              size="xs"
              disabled={openIds.length === 0}
              loading={acknowledgeSeen.isPending}
              onClick={() => acknowledgeSeen.mutate()}
            >
              {t.acknowledgeSeen}
            </Button>
          ))}
        <Button
          size="xs"
          variant="default"
          loading={markRead.isPending}
          onClick={() => markRead.mutate()}
        >
          {t.markRead}
        </Button>
      </Group>
      <ul className={classes.list}>
        {notifications.map((notification) => (
          <Item
            key={notification.event.id}
            notification={notification}
            canUpdate={can("EVENT_UPDATE")}
            isSelected={selectedIds.includes(notification.event.id)}
            onToggle={() => toggle(notification.event.id)}
            onAcknowledge={() => acknowledge.mutate([notification.event.id])}
            onResolve={() => resolve.mutate(notification.event.id)}
            onReopen={() => reopen.mutate(notification.event.id)}
            onSnoozeError={setSnoozeError}
            onLeave={onLeave}
          />
        ))}
      </ul>
      {bell.hasNextPage && (
        <Button variant="default" loading={bell.isLoadingMore} onClick={bell.loadMore}>
          {texts.loadMore}
        </Button>
      )}
    </Stack>
  );
}

interface ItemProps {
  notification: BellNotification<LiveEvent>;
  canUpdate: boolean;
  isSelected: boolean;
  onToggle: () => void;
  onAcknowledge: () => void;
  onResolve: () => void;
  onReopen: () => void;
  onSnoozeError: (error: Error | null) => void;
  onLeave: () => void;
}

function Item({
  notification,
  canUpdate,
  isSelected,
  onToggle,
  onAcknowledge,
  onResolve,
  onReopen,
  onSnoozeError,
  onLeave,
}: ItemProps) {
  const { event, read } = notification;
  const { client } = useApi();
  const [silence, setSilence] = useState<{ id: string; scope: string } | null>(null);
  const silenced = (created: { id: string; scope: string }) => {
    undo.reset();
    setSilence(created);
    onSnoozeError(null);
  };
  const undo = useMutation({
    mutationFn: async (id: string) => checked((await client.request(ExpireSilenceDocument, { id })).expireSilence),
    onSuccess: () => {
      setSilence(null);
      onSnoozeError(null);
    },
    onError: onSnoozeError,
  });
  const isOpen = event.status === "OPEN";
  const isUnread = isOpen && !read;
  const isResolved = event.status === "RESOLVED";
  return (
    <li
      className={classes.item}
      onKeyDown={({ key, ctrlKey, metaKey, altKey, repeat, target }) => {
        const isInMenu = (target as Element).closest("[role=menu]") !== null;
        const isPlain = !isInMenu && !ctrlKey && !metaKey && !altKey && !repeat;
        if (key === "r" && isPlain && canUpdate && !isResolved) onResolve();
      }}
    >
      {canUpdate && (
        <Checkbox
          aria-label={t.select(event.summary)}
          checked={isSelected}
          disabled={!isOpen}
          onChange={onToggle}
        />
      )}
      <Box flex={1} miw={0}>
        <Group gap="xs">
          <SeverityLabel severity={event.severity} />
          {isUnread && (
            <Text size="xs" fw={700}>
              {t.unread}
            </Text>
          )}
        </Group>
        <Anchor
          component={Link}
          to={`/events/${event.id}`}
          className={classes.link}
          fw={isUnread ? 700 : 400}
          onClick={onLeave}
        >
          {event.summary}
        </Anchor>
        <Text size="sm" c="dimmed">
          <Time at={event.occurredAt} />
          {event.status === "ACKNOWLEDGED" && `, ${t.acknowledgedBy(event.acknowledgedBy)}`}
          {event.status === "RESOLVED" && `, ${t.resolvedBy(event.resolvedBy)}`}
        </Text>
        <Text size="sm" role="status">
          {silence ? t.snooze.done(silence.scope) : undo.isSuccess && t.snooze.undone}
        </Text>
        {silence && (
          <Button
            variant="default"
            size="compact-xs"
            aria-label={t.snooze.undoOf(event.summary)}
            loading={undo.isPending}
            onClick={() => undo.mutate(silence.id)}
          >
            {t.snooze.undo}
          </Button>
        )}
      </Box>
      {canUpdate && <Snooze event={event} onSilenced={silenced} onError={onSnoozeError} />}
      {canUpdate && isOpen && (
        <ActionIcon
          variant="default"
          aria-label={t.acknowledge(event.summary)}
          title={t.acknowledge(event.summary)}
          onClick={onAcknowledge}
        >
          <IconCheck size={16} />
        </ActionIcon>
      )}
      {canUpdate && (
        <ActionIcon
          variant="default"
          aria-label={(isResolved ? t.reopen : t.resolve)(event.summary)}
          title={(isResolved ? t.reopen : t.resolve)(event.summary)}
          onClick={isResolved ? onReopen : onResolve}
        >
          {isResolved ? <IconArrowBackUp size={16} /> : <IconCircleCheck size={16} />}
        </ActionIcon>
      )}
    </li>
  );
}
