// Inputs of a filter that is stored with an object, such as a silence, and its conditions in a list.

import { Badge, Checkbox, Group, TextInput } from "@mantine/core";
import type { EventFilter, Severity } from "../api/generated";
import { texts } from "../texts";
import { SEVERITIES } from "./severity";

const t = texts.filterInputs;

interface Props {
  hint: string;
  error?: string;
}

/** The inputs. `readFilter` reads them from the form. */
export function FilterInputs({ hint, error }: Props) {
  return (
    <>
      <TextInput name="source" label={t.source} description={hint} error={error} autoComplete="off" />
      <TextInput name="type" label={t.type} description={texts.events.typesHint} autoComplete="off" />
      <TextInput name="entity" label={t.entity} autoComplete="off" />
      <Checkbox.Group label={t.severities}>
        <Group mt={4}>
          {SEVERITIES.map((severity) => (
            <Checkbox key={severity} name="severity" value={severity} label={texts.severities[severity]} />
          ))}
        </Group>
      </Checkbox.Group>
    </>
  );
}

/** Returns the conditions that are filled in. */
export function readFilter(form: FormData): EventFilter {
  const text = (name: string) => String(form.get(name) ?? "").trim();
  const severities = form.getAll("severity") as Severity[];
  return {
    ...(text("source") && { source: text("source") }),
    ...(text("type") && { types: [text("type")] }),
    ...(text("entity") && { entityId: text("entity") }),
    ...(severities.length > 0 && { severities }),
  };
}

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
