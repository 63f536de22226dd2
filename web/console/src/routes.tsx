// The pages of the console. Each has a folder in pages/, which is loaded when it is first opened.
// The first segments of the paths are also listed in app/http/console.py, which serves them.

import {
  IconBellZ,
  IconBox,
  IconForms,
  IconList,
  IconPencilPlus,
  IconSend,
  IconSettings,
  IconShieldCheck,
  IconWebhook,
} from "@tabler/icons-react";
import type { ComponentType } from "react";
import { createBrowserRouter, Navigate, type RouteObject } from "react-router";
import { ROOT } from "../../shared/server";
import { useApi } from "./api/client";
import type { Permission } from "./api/generated";
import Events from "./pages/events";
import { Layout } from "./shell/Layout";
import { Page } from "./shell/Page";
import { PageError } from "./shell/PageError";
import { Loading } from "./shell/states";
import { texts } from "./texts";

interface Section {
  path: string;
  label: string;
  icon: ComponentType<{ size?: number | string }>;
  permission: Permission;
}

/** The entries of the navigation. Entries without the permission are not shown. */
export const SECTIONS: Section[] = [
  { path: "/events", label: texts.sections.events, icon: IconList, permission: "EVENT_READ" },
  { path: "/report", label: texts.sections.report, icon: IconPencilPlus, permission: "EVENT_CREATE" },
  { path: "/event-types", label: texts.sections.eventTypes, icon: IconForms, permission: "EVENT_READ" },
  { path: "/rules", label: texts.sections.rules, icon: IconShieldCheck, permission: "EVENT_READ" },
  { path: "/containers", label: texts.sections.containers, icon: IconBox, permission: "EVENT_READ" },
  { path: "/silences", label: texts.sections.silences, icon: IconBellZ, permission: "EVENT_READ" },
  { path: "/event-sources", label: texts.sections.sources, icon: IconWebhook, permission: "CHANNEL_MANAGE" },
  { path: "/channels", label: texts.sections.channels, icon: IconSend, permission: "CHANNEL_MANAGE" },
  { path: "/administration", label: texts.sections.administration, icon: IconSettings, permission: "ORGANIZATION_MANAGE" },
];

type Load = () => Promise<{ default: ComponentType }>;

/** A page whose module is loaded with the route. */
function page(path: string, permission: Permission | null, load: Load): RouteObject {
  return {
    path,
    HydrateFallback: () => <Loading />,
    lazy: async () => {
      const { default: Content } = await load();
      return { element: <Page permission={permission} content={Content} /> };
    },
  };
}

/** The first page that the user may see. */
function Start() {
  const { can } = useApi();
  const section = SECTIONS.find(({ permission }) => can(permission)) ?? SECTIONS[0]!;
  return <Navigate to={section.path} replace />;
}

export const router = createBrowserRouter(
  [
    { index: true, element: <Start />, errorElement: <PageError /> },
    {
      element: <Layout />,
      errorElement: <PageError />,
      children: [
        // The identity provider sends users back to this address.
        { path: "sign-in", element: <Navigate to="/" replace /> },
        // Most users see this page first, so it does not wait for another script.
        { path: "events", element: <Page permission="EVENT_READ" content={Events} /> },
        page("events/:id", "EVENT_READ", () => import("./pages/event")),
        page("event-types", "EVENT_READ", () => import("./pages/event-types")),
        page("event-types/:id", "EVENT_READ", () => import("./pages/event-types/designer")),
        page("rules", "EVENT_READ", () => import("./pages/rules")),
        page("rules/guard/:id", "EVENT_READ", () => import("./pages/rules/guard")),
        page("rules/duplication/:id", "EVENT_READ", () => import("./pages/rules/duplication")),
        page("events/:id/edit", "EVENT_UPDATE", () => import("./pages/event/Edit")),
        page("report", "EVENT_CREATE", () => import("./pages/report")),
        page("containers", "EVENT_READ", () => import("./pages/containers")),
        page("silences", "EVENT_READ", () => import("./pages/silences")),
        page("event-sources", "CHANNEL_MANAGE", () => import("./pages/sources")),
        page("event-sources/:id", "CHANNEL_MANAGE", () => import("./pages/sources/source")),
        page("channels", "CHANNEL_MANAGE", () => import("./pages/channels")),
        page("channels/:id", "CHANNEL_MANAGE", () => import("./pages/channels/channel")),
        page("administration", "ORGANIZATION_MANAGE", () => import("./pages/administration")),
        page("administration/audit", "ORGANIZATION_MANAGE", () => import("./pages/administration/audit")),
        page("*", null, () => import("./pages/not-found")),
      ].map((route) => ({ ...route, errorElement: <PageError /> }) as RouteObject),
    },
  ],
  { basename: ROOT.pathname },
);
