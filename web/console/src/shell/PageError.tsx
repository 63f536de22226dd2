import { Alert, Button, Text } from "@mantine/core";
import { IconAlertCircle } from "@tabler/icons-react";
import { useRouteError } from "react-router";
import { texts } from "../texts";

const t = texts.states;

/** Shown if a page cannot be loaded, or fails while it is displayed. */
export function PageError() {
  const error = useRouteError();
  return (
    <Alert variant="default" role="alert" icon={<IconAlertCircle />} title={t.pageError}>
      <Text c="inherit">{error instanceof Error ? error.message : String(error)}</Text>
      <Button mt="sm" variant="default" onClick={() => location.reload()}>
        {t.reload}
      </Button>
    </Alert>
  );
}
