import { Anchor } from "@mantine/core";
import { Link } from "react-router";
import { useApi } from "../api/client";
import { texts } from "../texts";

/** A link to the changes to an object, for users who may read the audit trail. */
export function AuditLink({ id }: { id: string }) {
  const { can } = useApi();
  if (!can("ORGANIZATION_MANAGE")) return null;
  return (
    <Anchor component={Link} to={`/administration/audit?subject=${id}`} underline="always" size="sm" w="fit-content">
      {texts.administration.auditOf}
    </Anchor>
  );
}
