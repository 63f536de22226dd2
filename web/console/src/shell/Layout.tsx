// The frame of all pages: header, navigation and the content of the route.

import {
  ActionIcon,
  Alert,
  AppShell,
  Burger,
  Group,
  NavLink,
  Text,
  useComputedColorScheme,
  useMantineColorScheme,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconMoon, IconPlugConnectedX, IconSun } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useBell } from "@tocsin/react";
import { useEffect, useRef } from "react";
import { Link, Outlet, ScrollRestoration, useLocation, useNavigation } from "react-router";
import { useApi } from "../api/client";
import { Bell } from "../bell/Bell";
import { BELL } from "../bell/options";
import { SECTIONS } from "../routes";
import { texts } from "../texts";
import { Account } from "./Account";
import { Loading } from "./states";
import classes from "./Layout.module.css";

const t = texts.shell;
const MAIN = "content";

function ColorScheme() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const next = scheme === "dark" ? "light" : "dark";
  const label = next === "dark" ? t.toDark : t.toLight;
  return (
    <ActionIcon
      variant="default"
      size="lg"
      aria-label={label}
      title={label}
      onClick={() => setColorScheme(next)}
    >
      {next === "dark" ? <IconMoon size={18} /> : <IconSun size={18} />}
    </ActionIcon>
  );
}

function Navigation({ onNavigate }: { onNavigate: () => void }) {
  const { can } = useApi();
  const { pathname } = useLocation();
  return (
    <>
      {SECTIONS.filter(({ permission }) => can(permission)).map(({ path, label, icon: Icon }) => {
        const isActive = pathname === path || pathname.startsWith(`${path}/`);
        return (
          <NavLink
            key={path}
            component={Link}
            to={path}
            label={label}
            leftSection={<Icon size={18} />}
            active={isActive}
            aria-current={isActive ? "page" : undefined}
            color="indigo"
            variant="filled"
            onClick={onNavigate}
          />
        );
      })}
    </>
  );
}

/** The connection of the bell is that of all lists. */
function OfflineBanner() {
  const { offlineSince } = useBell(BELL);
  const queries = useQueryClient();
  const wasOffline = useRef(false);
  useEffect(() => {
    // What has no subscription may be outdated, or could not be loaded.
    if (wasOffline.current && !offlineSince) void queries.invalidateQueries();
    wasOffline.current = offlineSince !== null;
  }, [queries, offlineSince]);
  return (
    offlineSince && (
      <Alert variant="default" role="status" icon={<IconPlugConnectedX />} className={classes.offline}>
        {t.offline(offlineSince.toLocaleTimeString())}
      </Alert>
    )
  );
}

export function Layout() {
  const { can } = useApi();
  const [isOpen, { toggle, close }] = useDisclosure();
  const { state, location: next } = useNavigation();
  const { pathname } = useLocation();
  const main = useRef<HTMLElement>(null);
  const shown = useRef(pathname);

  useEffect(() => {
    // A screen reader continues with the new page instead of the link that opened it.
    if (shown.current !== pathname) main.current?.focus({ preventScroll: true });
    shown.current = pathname;
  }, [pathname]);

  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 220, breakpoint: "sm", collapsed: { mobile: !isOpen } }}
      padding="md"
    >
      <a
        className={classes.skip}
        href={`#${MAIN}`}
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        {t.skip}
      </a>
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap" gap="xs">
          <Group wrap="nowrap" gap="xs">
            <Burger
              opened={isOpen}
              onClick={toggle}
              hiddenFrom="sm"
              size="sm"
              aria-label={t.menu}
              aria-expanded={isOpen}
            />
            <Text fw={700} size="lg">
              {texts.product}
            </Text>
          </Group>
          <Group wrap="nowrap" gap="xs">
            {can("EVENT_READ") && <Bell />}
            <ColorScheme />
            <Account />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label={t.navigation}>
        <Navigation onNavigate={close} />
      </AppShell.Navbar>
      <AppShell.Main id={MAIN} ref={main} tabIndex={-1} className={classes.main}>
        {can("EVENT_READ") && <OfflineBanner />}
        {state === "loading" && next?.pathname !== pathname ? <Loading /> : <Outlet />}
      </AppShell.Main>
      <ScrollRestoration />
    </AppShell>
  );
}
