// The user menu: who is signed in, the organization, sign-out.

import { ActionIcon, Menu, Text } from "@mantine/core";
import { IconCheck, IconCode, IconLogout, IconUser } from "@tabler/icons-react";
import { API_URL } from "../../../shared/server";
import { useApi } from "../api/client";
import { useSession } from "../session/Session";
import { texts } from "../texts";

const t = texts.shell;

export function Account() {
  const { viewer } = useApi();
  const { displayName, signOut, setOrganization } = useSession();
  const { organization, organizations } = viewer;

  return (
    <Menu width={260} position="bottom-end" withinPortal={false} withInitialFocusPlaceholder={false}>
      <Menu.Target>
        <ActionIcon variant="default" size="lg" aria-label={t.account} title={t.account}>
          <IconUser size={18} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Text size="sm" px="sm" py={4}>
          {t.signedInAs(displayName ? `${displayName} (${viewer.name})` : viewer.name)}
        </Text>
        <Menu.Divider />
        <Text size="sm" px="sm" py={4} fw={600}>
          {t.organization}
        </Text>
        {organizations.length < 2 ? (
          <Text size="sm" px="sm" py={4}>
            {organization.name}
          </Text>
        ) : (
          organizations.map(({ key, name }) => (
            <Menu.Item
              key={key}
              aria-current={key === organization.key}
              leftSection={
                <IconCheck size={16} visibility={key === organization.key ? "visible" : "hidden"} />
              }
              onClick={() => key !== organization.key && setOrganization(key)}
            >
              {name}
            </Menu.Item>
          ))
        )}
        <Menu.Divider />
        <Menu.Item component="a" href={API_URL} leftSection={<IconCode size={16} />}>
          {t.graphiql}
        </Menu.Item>
        <Menu.Item leftSection={<IconLogout size={16} />} onClick={signOut}>
          {t.signOut}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
