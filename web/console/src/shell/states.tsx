// The states that a page can be in instead of showing its data.

import { Alert, Button, Center, Group, Loader, Stack, Text, Title } from "@mantine/core";
import { IconAlertCircle, IconLock } from "@tabler/icons-react";
import { TocsinError } from "@tocsin/client";
import type { ReactNode } from "react";
import type { Permission } from "../api/generated";
import { RejectedError } from "../common/userErrors";
import { texts } from "../texts";

const t = texts.states;

export function Loading({ message = t.loading }: { message?: string }) {
  return (
    <Center py="xl" role="status">
      <Group>
        <Loader size="sm" aria-hidden />
        <Text>{message}</Text>
      </Group>
    </Center>
  );
}

interface ErrorStateProps {
  error: unknown;
  /** What failed. Loading data, if omitted. */
  title?: string;
  /** What is not permitted. Seeing the page, if omitted. */
  forbiddenTitle?: string;
  onRetry?: () => void;
}

/** Shows the message of the error and, unless a permission is missing, offers to try again. */
export function ErrorState({ error, title = t.error, forbiddenTitle = t.forbidden, onRetry }: ErrorStateProps) {
  const isForbidden = error instanceof TocsinError && error.code === "FORBIDDEN";
  return (
    <Alert
      variant="default"
      role="alert"
      icon={isForbidden ? <IconLock /> : <IconAlertCircle />}
      title={isForbidden ? forbiddenTitle : title}
    >
      <Text c="inherit" style={{ whiteSpace: "pre-line" }}>
        {error instanceof Error ? error.message : String(error)}
      </Text>
      {onRetry && !isForbidden && (
        <Button mt="sm" variant="default" onClick={onRetry}>
          {t.retry}
        </Button>
      )}
    </Alert>
  );
}

/** Shows why a change was not made: each of its user errors, or what else failed. Nothing without an error. */
export function SaveError({ error }: { error: Error | null }) {
  if (error === null) return null;
  const isRejected = error instanceof RejectedError || (error instanceof TocsinError && error.code === "BAD_USER_INPUT");
  const title = isRejected ? t.rejected : t.notSaved;
  return <ErrorState error={error} title={title} forbiddenTitle={t.forbiddenChange} />;
}

interface EmptyProps {
  title: string;
  /** The page shows nothing else. */
  isPage?: boolean;
  children?: ReactNode;
}

/** An empty list or page: says why, and what to do next. */
export function Empty({ title, isPage = false, children }: EmptyProps) {
  return (
    <Center py="xl">
      <Stack align="center" gap="xs">
        <Title order={isPage ? 1 : 2} size="h4">
          {title}
        </Title>
        {children}
      </Stack>
    </Center>
  );
}

/** Shown instead of a page that requires a permission which the key does not grant. */
export function NoPermission({ permission }: { permission: Permission }) {
  return (
    <Empty title={t.forbidden} isPage>
      <IconLock aria-hidden />
      <Text>{t.needsPermission(permission, texts.administration.permissionHints[permission])}</Text>
    </Empty>
  );
}
