import type { ComponentType } from "react";
import { useApi } from "../api/client";
import type { Permission } from "../api/generated";
import { NoPermission } from "./states";

interface Props {
  permission: Permission | null;
  content: ComponentType;
}

/** A page, or the permission that it requires. */
export function Page({ permission, content: Content }: Props) {
  const { can } = useApi();
  return permission && !can(permission) ? <NoPermission permission={permission} /> : <Content />;
}
