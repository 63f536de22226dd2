// Form fields of rules of every kind.

import { NativeSelect, TextInput } from "@mantine/core";
import { useEventTypeNames } from "../../api/pages";
import { texts } from "../../texts";

const t = texts.rules;

interface FieldProps {
  value: string;
  onChange: (value: string) => void;
}

/** The event type of a new rule, as its ID, or "" for all. */
export function EventTypeChoice({ value, onChange }: FieldProps) {
  const types = useEventTypeNames();
  return (
    <NativeSelect
      label={t.eventType}
      description={t.eventTypeHint}
      value={value}
      onChange={({ currentTarget }) => onChange(currentTarget.value)}
      data={[
        { value: "", label: t.allEvents },
        ...types.map(({ id, name, type }) => ({ value: id, label: `${name} (${type})` })),
      ]}
    />
  );
}

interface TextFieldProps extends FieldProps {
  label: string;
  description?: string;
  error: string | undefined;
  isReadOnly: boolean;
}

/** A required text. */
export function TextField({ onChange, isReadOnly, ...props }: TextFieldProps) {
  return (
    <TextInput
      {...props}
      onChange={({ currentTarget }) => onChange(currentTarget.value)}
      readOnly={isReadOnly}
      required
      withAsterisk={false}
    />
  );
}
