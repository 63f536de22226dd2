import { Badge, Group } from "@mantine/core";

/** The conditions of a filter, each with its name in the API. */
export function Conditions({ filter }: { filter: Record<string, unknown> }) {
  return (
    <Group gap={4}>
      {Object.entries(filter).map(([name, value]) => (
        <Badge key={name} variant="default" tt="none" fw={500}>
          {name}: {typeof value === "string" ? value : JSON.stringify(value)}
        </Badge>
      ))}
    </Group>
  );
}
