import {
  Alert,
  Button,
  Container,
  Divider,
  Group,
  PasswordInput,
  Stack,
  Text,
  TextInput,
  Title,
} from "@mantine/core";
import { IconAlertCircle } from "@tabler/icons-react";
import type { FormEvent, ReactNode } from "react";
import type { Problem } from "../../../shared/verify";
import { Dialog } from "../common/Dialog";
import { texts } from "../texts";
import { PROVIDER_HOST } from "./provider";

const t = texts.signIn;

interface FormPageProps {
  /** The field of the form, whose name is "value". */
  field: ReactNode;
  submitLabel: string;
  onValue: (value: string) => void;
  subtitle?: string;
  message?: ReactNode;
  otherButton?: ReactNode;
  /** Shown before the form. */
  alternative?: ReactNode;
  notes?: readonly string[];
}

/** Calls `onValue` with the field "value" of a form, unless it is empty. */
function submitValue(event: FormEvent<HTMLFormElement>, onValue: (value: string) => void): void {
  event.preventDefault();
  const value = new FormData(event.currentTarget).get("value");
  if (typeof value === "string" && value.trim()) onValue(value.trim());
}

/** A page with a form of one field. */
function FormPage({
  field,
  submitLabel,
  onValue,
  subtitle,
  message,
  otherButton,
  alternative,
  notes = [],
}: FormPageProps) {
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
        {alternative}
        <form onSubmit={(event) => submitValue(event, onValue)}>
          <Stack>
            {field}
            <Group>
              <Button type="submit" variant={alternative ? "default" : "filled"}>
                {submitLabel}
              </Button>
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
  /** Signs in by the identity provider. Null if the server has none. */
  onProvider: (() => void) | null;
  onRetry: () => void;
  onCancel: (() => void) | null;
}

/** The form for a visit without a valid key. */
export function SignIn({ problem, onKey, onProvider, onRetry, onCancel }: SignInProps) {
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
          autoFocus={!onProvider}
        />
      }
      alternative={
        onProvider && (
          <>
            <Button onClick={onProvider} autoFocus>
              {texts.provider.signIn(PROVIDER_HOST)}
            </Button>
            <Divider label={texts.provider.or} />
          </>
        )
      }
      submitLabel={onProvider ? texts.provider.submitKey : t.submit}
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

interface SignInAgainProps {
  problem: Problem;
  onSignIn: () => void;
  onSignOut: () => void;
}

/** The dialog over a page whose session at the provider has ended. The page keeps what the user has entered. */
export function SignInAgain({ problem, onSignIn, onSignOut }: SignInAgainProps) {
  return (
    <Dialog isOpen title={texts.provider.againTitle} isOnTop>
      <Stack>
        <Text role="alert">{problem.message}</Text>
        <Text size="sm">{texts.provider.againHint}</Text>
        <Group>
          <Button data-autofocus onClick={onSignIn}>
            {texts.provider.signIn(PROVIDER_HOST)}
          </Button>
          <Button variant="default" onClick={onSignOut}>
            {texts.shell.signOut}
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}

interface SignInWithOtherKeyProps {
  /** Null while a key is being verified. */
  problem: Problem | null;
  onKey: (key: string) => void;
  /** Signs in by the identity provider, which leaves the page. Null if the server has none. */
  onProvider: (() => void) | null;
  onRetry: () => void;
  onSignOut: () => void;
}

/** The dialog over a page whose key is no longer valid. The page keeps what the user has entered. */
export function SignInWithOtherKey({ problem, onKey, onProvider, onRetry, onSignOut }: SignInWithOtherKeyProps) {
  return (
    <Dialog isOpen title={t.changeTitle} isOnTop>
      <form onSubmit={(event) => submitValue(event, onKey)}>
        <Stack>
          <Text role="alert">{problem?.message ?? t.verifying}</Text>
          {problem?.canRetry && (
            <Button variant="default" onClick={onRetry}>
              {t.retry}
            </Button>
          )}
          <PasswordInput
            name="value"
            label={t.label}
            description={t.otherKeyHint}
            autoComplete="off"
            required
            withAsterisk={false}
            data-autofocus
          />
          <Group>
            <Button type="submit" loading={problem === null}>
              {t.submit}
            </Button>
            <Button variant="default" onClick={onSignOut}>
              {texts.shell.signOut}
            </Button>
          </Group>
          {onProvider && (
            <>
              <Divider label={texts.provider.or} />
              <Text size="sm">{texts.provider.leavesPage}</Text>
              <Group>
                <Button variant="default" onClick={onProvider}>
                  {texts.provider.signIn(PROVIDER_HOST)}
                </Button>
              </Group>
            </>
          )}
        </Stack>
      </form>
    </Dialog>
  );
}

/** The page of a window that was opened by `SignInAgain`, if the browser does not close it. */
export function HandedOver() {
  return (
    <Container component="main" size="xs" py="xl">
      <Title order={1}>{texts.product}</Title>
      <Text role="status">{texts.provider.handedOver}</Text>
    </Container>
  );
}
