// The choice of the attributes and fields that must be equal in duplicates.

import { Button, Checkbox, Group, Stack, TextInput } from "@mantine/core";
import { useState } from "react";
import { texts } from "../../texts";
import type { FieldOption } from "../../common/cel/completion";
import vocabulary from "../../common/cel/vocabulary.json";

const t = texts.rules;

interface Props {
  value: readonly string[];
  onChange: (value: string[]) => void;
  fields: readonly FieldOption[];
  error: string | undefined;
  isReadOnly: boolean;
}

export function FingerprintBuilder({ value, onChange, fields, error, isReadOnly }: Props) {
  const [name, setName] = useState("");
  const known = [
    ...vocabulary.fingerprint.map((path) => ({ path, label: t.paths[path as keyof typeof t.paths] })),
    ...fields.map((field) => ({ path: `fields.${field.name}`, label: field.label })),
  ];
  const others = value.filter((path) => known.every((each) => each.path !== path));

  function add(): void {
    const path = `fields.${name.trim()}`;
    if (name.trim() && !value.includes(path)) onChange([...value, path]);
    setName("");
  }

  return (
    <Checkbox.Group
      label={t.fingerprint}
      description={t.fingerprintHint}
      error={error}
      value={[...value]}
      onChange={onChange}
      disabled={isReadOnly}
    >
      <Stack gap="xs" mt="xs">
        <Group gap="md">
          {[...known, ...others.map((path) => ({ path, label: path }))].map(({ path, label }) => (
            <Checkbox key={path} value={path} label={label} />
          ))}
        </Group>
        {!isReadOnly && (
          <Group align="end" gap="xs">
            <TextInput
              label={t.otherField}
              value={name}
              onChange={({ currentTarget }) => setName(currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key !== "Enter") return;
                event.preventDefault();
                add();
              }}
            />
            <Button variant="default" disabled={!name.trim()} onClick={add}>
              {t.addField}
            </Button>
          </Group>
        )}
      </Stack>
    </Checkbox.Group>
  );
}
