// The organization, its API keys and retention policies, and the health of the server.

import { Anchor, Stack, Title } from "@mantine/core";
import { Link } from "react-router";
import { texts } from "../../texts";
import { ApiKeys } from "./ApiKeys";
import { Health } from "./Health";
import { Organizations } from "./Organizations";
import { Retention } from "./Retention";

const t = texts.administration;

export default function AdministrationPage() {
  return (
    <Stack gap="lg">
      <Title order={1} size="h2">
        {t.title}
      </Title>
      <Anchor component={Link} to="/administration/audit" underline="always" w="fit-content">
        {t.auditLink}
      </Anchor>
      <Organizations />
      <ApiKeys />
      <Retention />
      <Health />
    </Stack>
  );
}
