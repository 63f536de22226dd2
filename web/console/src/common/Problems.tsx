import { Alert, List } from "@mantine/core";
import { IconAlertCircle, IconAlertTriangle } from "@tabler/icons-react";
import type { Problem } from "./userErrors";

interface Props {
  title: string;
  problems: readonly Problem[];
  isWarning?: boolean;
}

/** Problems that belong to no single input. */
export function Problems({ title, problems, isWarning = false }: Props) {
  if (problems.length === 0) return null;
  return (
    <Alert variant="default" title={title} icon={isWarning ? <IconAlertTriangle /> : <IconAlertCircle />} role="presentation">
      <List>
        {problems.map(({ message }) => (
          <List.Item key={message}>{message}</List.Item>
        ))}
      </List>
    </Alert>
  );
}
