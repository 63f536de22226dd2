import { Alert, Button, Container, Group, PasswordInput, Stack, Text, TextInput, Title } from "@mantine/core";
import { IconAlertCircle } from "@tabler/icons-react";
import type { FormEvent } from "react";
import type { Problem } from "../../../shared/verify";
import { texts } from "../texts";

const t = texts.signIn;

/** Returns the trimmed value of the only field of the form, or null if it is empty. */
function readValue(event: FormEvent<HTMLFormElement>): string | null {
  event.preventDefault();
  const value = new FormData(event.currentTarget).get("value");
  return typeof value === "string" && value.trim() ? value.trim() : null;
}

interface SignInProps {
  problem: Problem | null;
  onKey: (key: string) => void;
  onRetry: () => void;
  onCancel: (() => void) | null;
}

/** The form for a visit without a valid key. */
export function SignIn({ problem, onKey, onRetry, onCancel }: SignInProps) {
  function submit(event: FormEvent<HTMLFormElement>) {
    const key = readValue(event);
    if (key) onKey(key);
  }

  return (
    <Container component="main" size="xs" py="xl">
      <Stack>
        <Title order={1}>{texts.product}</Title>
        <Title order={2} size="h3">
          {onCancel ? t.changeTitle : t.title}
        </Title>
        {problem && (
          <Alert variant="default" icon={<IconAlertCircle />} role="alert">
            <Text c="inherit">{problem.message}</Text>
            {problem.canRetry && (
              <Button mt="sm" variant="default" onClick={onRetry}>
                {t.retry}
              </Button>
            )}
          </Alert>
        )}
        <form onSubmit={submit}>
          <Stack>
            <PasswordInput
              name="value"
              label={t.label}
              description={t.description}
              autoComplete="off"
              required
              withAsterisk={false}
              autoFocus
            />
            <Group>
              <Button type="submit">{t.submit}</Button>
              {onCancel && (
                <Button variant="default" onClick={onCancel}>
                  {t.cancel}
                </Button>
              )}
            </Group>
          </Stack>
        </form>
        <Text size="sm">{t.firstKey}</Text>
        <Text size="sm">{t.storage}</Text>
      </Stack>
    </Container>
  );
}

interface OrganizationFormProps {
  message: string;
  onOrganization: (key: string) => void;
}

/** The form for an access token that is valid for several organizations, none of them by default. */
export function OrganizationForm({ message, onOrganization }: OrganizationFormProps) {
  function submit(event: FormEvent<HTMLFormElement>) {
    const key = readValue(event);
    if (key) onOrganization(key);
  }

  return (
    <Container component="main" size="xs" py="xl">
      <Stack>
        <Title order={1}>{texts.product}</Title>
        <Alert variant="default" icon={<IconAlertCircle />} role="alert">
          {message}
        </Alert>
        <form onSubmit={submit}>
          <Stack>
            <TextInput
              name="value"
              label={t.organizationLabel}
              description={t.organizationDescription}
              autoComplete="off"
              required
              withAsterisk={false}
            />
            <Button type="submit">{t.organizationSubmit}</Button>
          </Stack>
        </form>
      </Stack>
    </Container>
  );
}
