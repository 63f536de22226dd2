// The organization of the session, and switching to another one or creating one.

import { Badge, Button, Group, Stack, Table, Text, TextInput, Title } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useApi } from "../../api/client";
import { CreateOrganizationDocument, RenameOrganizationDocument } from "../../api/generated";
import { Dialog } from "../../common/Dialog";
import { checked, problemsAt } from "../../common/userErrors";
import { useSession } from "../../session/Session";
import { SaveError } from "../../shell/states";
import { texts } from "../../texts";

const t = texts.administration;

export function Organizations() {
  const { client, viewer } = useApi();
  const { setOrganization } = useSession();
  const queries = useQueryClient();
  const { organization, organizations } = viewer;
  const [form, setForm] = useState<"create" | "rename" | null>(null);
  const close = async () => {
    setForm(null);
    await queries.invalidateQueries();
  };
  const creating = useMutation({
    mutationFn: async (variables: { key: string; name: string }) =>
      checked((await client.request(CreateOrganizationDocument, variables)).createOrganization),
    onSuccess: close,
  });
  const renaming = useMutation({
    mutationFn: async (variables: { name: string }) =>
      checked((await client.request(RenameOrganizationDocument, variables)).updateOrganization),
    onSuccess: close,
  });

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const values = new FormData(event.currentTarget);
    const name = String(values.get("name")).trim();
    if (form === "create") creating.mutate({ key: String(values.get("key")).trim(), name });
    else if (name === organization.name) setForm(null);
    else renaming.mutate({ name });
  }

  const saving = form === "create" ? creating : renaming;
  return (
    <section aria-labelledby="organizations">
      <Stack gap="xs">
        <Group justify="space-between">
          <Title order={2} size="h4" id="organizations">
            {t.organizations}
          </Title>
          <Group gap="xs">
            <Button variant="default" onClick={() => setForm("rename")}>
              {t.rename}
            </Button>
            <Button variant="default" onClick={() => setForm("create")}>
              {t.newOrganization}
            </Button>
          </Group>
        </Group>
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t.name}</Table.Th>
              <Table.Th>{t.key}</Table.Th>
              <Table.Th>{t.session}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {organizations.map(({ id, key, name }) => (
              <Table.Tr key={id}>
                <Table.Td style={{ overflowWrap: "anywhere" }}>{name}</Table.Td>
                <Table.Td style={{ overflowWrap: "anywhere" }}>{key}</Table.Td>
                <Table.Td>
                  {key === organization.key ? (
                    <Badge variant="default" tt="none">
                      {t.current}
                    </Badge>
                  ) : (
                    <Button
                      variant="default"
                      size="xs"
                      aria-label={t.switchTo(name)}
                      onClick={() => setOrganization(key)}
                    >
                      {t.switch}
                    </Button>
                  )}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Stack>
      <Dialog
        isOpen={form !== null}
        onClose={() => setForm(null)}
        title={form === "create" ? t.newOrganization : t.renameTitle(organization.name)}
      >
        <form onSubmit={submit}>
          <Stack>
            {form === "create" && (
              <TextInput
                name="key"
                label={t.key}
                description={t.keyHint}
                error={problemsAt(saving.error, "key")}
                autoComplete="off"
                required
                withAsterisk={false}
              />
            )}
            <TextInput
              name="name"
              label={t.name}
              defaultValue={form === "create" ? "" : organization.name}
              error={problemsAt(saving.error, "name")}
              autoComplete="off"
              required
              withAsterisk={false}
            />
            {form === "create" && <Text size="sm">{t.organizationHint}</Text>}
            <SaveError error={saving.error} />
            <Group>
              <Button type="submit" loading={saving.isPending}>
                {form === "create" ? t.createOrganization : t.save}
              </Button>
            </Group>
          </Stack>
        </form>
      </Dialog>
    </section>
  );
}
