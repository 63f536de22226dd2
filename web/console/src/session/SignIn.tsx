import { Alert, Button, Container, Group, PasswordInput, Stack, Text, TextInput, Title } from "@mantine/core";
import { IconAlertCircle } from "@tabler/icons-react";
import type { FormEvent, ReactNode } from "react";
import type { Problem } from "../../../shared/verify";
import { texts } from "../texts";

const t = texts.signIn;

interface FormPageProps {
  /** The field of the form, whose name is "value". */
  field: ReactNode;
  submitLabel: string;
  onValue: (value: string) => void;
  subtitle?: string;
  message?: ReactNode;
  otherButton?: ReactNode;
  notes?: readonly string[];
}

/** A page with a form of one field. */
function FormPage({ field, submitLabel, onValue, subtitle, message, otherButton, notes = [] }: FormPageProps) {
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const value = new FormData(event.currentTarget).get("value");
    if (typeof value === "string" && value.trim()) onValue(value.trim());
  }

  return (
    <Container component="main" size="xs" py="xl">
      <Stack>
        <Title order={1}>{texts.product}</Title>
        {subtitle && (
          <Title order={2} size="h3">
            {subtitle}
          </Title>
        )}
        {message && (
          <Alert variant="default" icon={<IconAlertCircle />} role="alert">
            {message}
          </Alert>
        )}
        <form onSubmit={submit}>
          <Stack>
            {field}
            <Group>
              <Button type="submit">{submitLabel}</Button>
              {otherButton}
            </Group>
          </Stack>
        </form>
        {notes.map((note) => (
          <Text size="sm" key={note}>
            {note}
          </Text>
        ))}
      </Stack>
    </Container>
  );
}

interface SignInProps {
  problem: Problem | null;
  onKey: (key: string) => void;
  onRetry: () => void;
  onCancel: (() => void) | null;
}

/** The form for a visit without a valid key. */
export function SignIn({ problem, onKey, onRetry, onCancel }: SignInProps) {
  return (
    <FormPage
      subtitle={onCancel ? t.changeTitle : t.title}
      message={
        problem && (
          <>
            <Text c="inherit">{problem.message}</Text>
            {problem.canRetry && (
              <Button mt="sm" variant="default" onClick={onRetry}>
                {t.retry}
              </Button>
            )}
          </>
        )
      }
      field={
        <PasswordInput
          name="value"
          label={t.label}
          description={t.description}
          autoComplete="off"
          required
          withAsterisk={false}
          autoFocus
        />
      }
      submitLabel={t.submit}
      onValue={onKey}
      otherButton={
        onCancel && (
          <Button variant="default" onClick={onCancel}>
            {t.cancel}
          </Button>
        )
      }
      notes={[t.firstKey, t.storage]}
    />
  );
}

interface OrganizationFormProps {
  message: string;
  onOrganization: (key: string) => void;
}

/** The form for an access token that is valid for several organizations, none of them by default. */
export function OrganizationForm({ message, onOrganization }: OrganizationFormProps) {
  return (
    <FormPage
      message={message}
      field={
        <TextInput
          name="value"
          label={t.organizationLabel}
          description={t.organizationDescription}
          autoComplete="off"
          required
          withAsterisk={false}
        />
      }
      submitLabel={t.organizationSubmit}
      onValue={onOrganization}
    />
  );
}
