// The API keys of the organization. The secret of a new key is shown once.

import { Button, Checkbox, Group, Stack, Table, Text, TextInput, Title, VisuallyHidden } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useApi, useApiQuery } from "../../api/client";
import {
  AdministrationDocument,
  type AdministrationQuery,
  CreateApiKeyDocument,
  type CreateApiKeyInput,
  type Permission,
  RevokeApiKeyDocument,
} from "../../api/generated";
import { Confirm } from "../../common/Confirm";
import { Dialog } from "../../common/Dialog";
import { Name } from "../../common/Name";
import { Secret } from "../../common/Secret";
import { Time } from "../../common/time";
import { checked, problemsAt } from "../../common/userErrors";
import { ErrorState, Loading, SaveError } from "../../shell/states";
import { texts } from "../../texts";

const t = texts.administration;

type ApiKey = NonNullable<AdministrationQuery["viewer"]["organization"]["apiKeys"]>[number];

export function ApiKeys() {
  const { client } = useApi();
  const queries = useQueryClient();
  const { data, error, refetch } = useApiQuery(AdministrationDocument, {});
  const [isCreating, setIsCreating] = useState(false);
  const [revoked, setRevoked] = useState<ApiKey | null>(null);
  const revoking = useMutation<void, Error, void>({
    mutationFn: async () => {
      checked((await client.request(RevokeApiKeyDocument, { id: revoked!.id })).revokeApiKey);
    },
    onSuccess: async () => {
      setRevoked(null);
      await queries.invalidateQueries();
    },
  });
  const keys = data?.viewer.organization.apiKeys ?? [];

  return (
    <section aria-labelledby="api-keys">
      <Stack gap="xs">
        <Group justify="space-between">
          <Title order={2} size="h4" id="api-keys">
            {t.apiKeys}
          </Title>
          <Button leftSection={<IconPlus size={16} />} onClick={() => setIsCreating(true)}>
            {t.newKey}
          </Button>
        </Group>
        {error && <ErrorState error={error} onRetry={() => void refetch()} />}
        {!data && !error && <Loading />}
        {data && keys.length === 0 && <Text>{t.noKeys}</Text>}
        {keys.length > 0 && (
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t.name}</Table.Th>
                <Table.Th visibleFrom="sm">{t.lastUsed}</Table.Th>
                <Table.Th>{t.status}</Table.Th>
                <Table.Th>
                  <VisuallyHidden>{texts.actions}</VisuallyHidden>
                </Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {keys.map((key) => (
                <Table.Tr key={key.id}>
                  <Table.Td style={{ overflowWrap: "anywhere" }}>
                    <Text>{key.name}</Text>
                    <Text size="sm" c="dimmed">
                      <Name text={key.permissions.join(", ")} />
                    </Text>
                  </Table.Td>
                  <Table.Td visibleFrom="sm">
                    {key.lastUsedAt ? <Time at={key.lastUsedAt} /> : t.neverUsed}
                  </Table.Td>
                  <Table.Td>
                    <Status apiKey={key} />
                  </Table.Td>
                  <Table.Td ta="end">
                    {!key.revokedAt && !isExpired(key) && (
                      <Button
                        variant="default"
                        size="xs"
                        aria-label={t.revokeTitle(key.name)}
                        onClick={() => setRevoked(key)}
                      >
                        {t.revoke}
                      </Button>
                    )}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
      </Stack>
      {isCreating && <NewKey onClose={() => setIsCreating(false)} />}
      <Confirm
        isOpen={revoked !== null}
        onClose={() => setRevoked(null)}
        title={t.revokeTitle(revoked?.name ?? "")}
        action={t.revoke}
        isDangerous
        mutation={revoking}
      >
        {t.revokeHint}
      </Confirm>
    </section>
  );
}

const isExpired = ({ expiresAt }: ApiKey): boolean => expiresAt !== null && Date.parse(expiresAt) <= Date.now();

function Status({ apiKey }: { apiKey: ApiKey }) {
  const { revokedAt, expiresAt } = apiKey;
  if (revokedAt) {
    return (
      <Text size="sm">
        {t.revoked} <Time at={revokedAt} />
      </Text>
    );
  }
  if (!expiresAt) return t.valid;
  return (
    <Text size="sm">
      {isExpired(apiKey) ? t.expired : t.expires} <Time at={expiresAt} />
    </Text>
  );
}

function NewKey({ onClose }: { onClose: () => void }) {
  const { client, viewer } = useApi();
  const queries = useQueryClient();
  const [permissions, setPermissions] = useState<Permission[]>(["EVENT_READ"]);
  const creating = useMutation({
    mutationFn: async (input: CreateApiKeyInput) =>
      checked((await client.request(CreateApiKeyDocument, { input })).createApiKey),
    onSuccess: () => queries.invalidateQueries(),
  });

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const values = new FormData(event.currentTarget);
    const expires = String(values.get("expires"));
    creating.mutate({
      name: String(values.get("name")).trim(),
      permissions,
      expiresAt: expires ? new Date(expires).toISOString() : null,
    });
  }

  const secret = creating.data?.secret;
  return (
    <Dialog isOpen onClose={onClose} title={t.newKey}>
      {secret ? (
        <Secret
          secret={secret}
          label={t.secret}
          hint={t.secretHint}
          copyLabel={t.copySecret}
          onClose={onClose}
        />
      ) : (
        <form onSubmit={submit}>
          <Stack>
            <TextInput
              name="name"
              label={t.name}
              description={t.keyNameHint}
              error={problemsAt(creating.error, "name")}
              autoComplete="off"
              required
              withAsterisk={false}
              data-autofocus
            />
            <Checkbox.Group
              label={t.permissions}
              value={permissions}
              onChange={(chosen) => setPermissions(chosen as Permission[])}
            >
              <Stack gap={4} mt={4}>
                {viewer.permissions.map((permission) => (
                  <Checkbox
                    key={permission}
                    value={permission}
                    label={<Name text={permission} />}
                    description={t.permissionHints[permission]}
                  />
                ))}
              </Stack>
            </Checkbox.Group>
            <TextInput
              name="expires"
              type="datetime-local"
              label={t.expiresAt}
              error={problemsAt(creating.error, "expiresAt")}
            />
            <SaveError error={creating.error} />
            <Group>
              <Button type="submit" loading={creating.isPending} disabled={permissions.length === 0}>
                {t.createKey}
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Dialog>
  );
}
