// The attributes of one field.

import { ActionIcon, Button, Checkbox, Group, NativeSelect, NumberInput, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import type { FieldKind } from "../../api/generated";
import { texts } from "../../texts";
import { parseValue, writeValue } from "./conditions";
import { type Choice, type FieldDraft, isChoice, isNumeric, isText, KINDS } from "./draft";

const t = texts.eventTypes;

interface Props {
  field: FieldDraft;
  isReadOnly: boolean;
  onChange: (changes: Partial<FieldDraft>) => void;
}

type Numbers = "minimum" | "maximum" | "minLength" | "maxLength";
type Strings = "name" | "label" | "helpText" | "unit" | "pattern" | "sourceKey";

export function FieldForm({ field, isReadOnly, onChange }: Props) {
  const text = (name: Strings, more: { isDisabled?: boolean; hint?: string } = {}) => (
    <TextInput
      label={t.attributes[name]}
      description={more.hint}
      value={field[name]}
      disabled={isReadOnly || more.isDisabled}
      onChange={({ currentTarget }) => onChange({ [name]: currentTarget.value })}
    />
  );
  const number = (name: Numbers) => (
    <NumberInput
      flex={1}
      miw={120}
      label={t.attributes[name]}
      value={field[name] ?? ""}
      disabled={isReadOnly}
      allowDecimal={name === "minimum" || name === "maximum"}
      onChange={(value) => onChange({ [name]: value === "" ? null : Number(value) })}
    />
  );
  return (
    <Stack gap="xs" mt="xs" role="group" aria-label={t.attributesOf(field.label || field.name)}>
      {text("name", { isDisabled: field.isStored, hint: t.nameHint })}
      {text("label")}
      <NativeSelect
        label={t.attributes.kind}
        value={field.kind}
        disabled={isReadOnly}
        onChange={({ currentTarget }) => onChange({ kind: currentTarget.value as FieldKind })}
        data={KINDS.map((kind) => ({ value: kind, label: t.kinds[kind] }))}
      />
      <Checkbox
        label={t.attributes.required}
        checked={field.required}
        disabled={isReadOnly}
        onChange={({ currentTarget }) => onChange({ required: currentTarget.checked })}
      />
      {isChoice(field.kind) && (
        <Choices choices={field.choices} isReadOnly={isReadOnly} onChange={(choices) => onChange({ choices })} />
      )}
      {isNumeric(field.kind) && (
        <Group align="end">
          {number("minimum")}
          {number("maximum")}
        </Group>
      )}
      {isText(field.kind) && (
        <>
          <Group align="end">
            {number("minLength")}
            {number("maxLength")}
          </Group>
          {text("pattern", { hint: t.patternHint })}
        </>
      )}
      {text("unit")}
      {text("helpText")}
      <Default field={field} isReadOnly={isReadOnly} onChange={onChange} />
      {text("sourceKey", { hint: t.sourceKeyHint })}
    </Stack>
  );
}

/** The default value, as its kind is entered. */
function Default({ field, isReadOnly, onChange }: Props) {
  const label = t.attributes.default;
  if (field.kind === "BOOLEAN" || field.kind === "SELECT") {
    const options =
      field.kind === "SELECT"
        ? field.choices.map((choice) => ({ value: choice.value, label: choice.label || choice.value }))
        : [
            { value: "true", label: texts.events.yes },
            { value: "false", label: texts.events.no },
          ];
    return (
      <NativeSelect
        label={label}
        value={writeValue(field.default)}
        disabled={isReadOnly}
        onChange={({ currentTarget: { value } }) =>
          onChange({ default: value === "" ? null : parseValue(value, field.kind, "EQ") })
        }
        data={[{ value: "", label: t.noDefault }, ...options]}
      />
    );
  }
  if (field.kind === "MULTI_SELECT") {
    return (
      <Checkbox.Group
        label={label}
        value={(field.default as string[] | null) ?? []}
        disabled={isReadOnly}
        onChange={(value) => onChange({ default: value.length > 0 ? value : null })}
      >
        <Group mt={4}>
          {field.choices.map((choice) => (
            <Checkbox key={choice.value} value={choice.value} label={choice.label || choice.value} />
          ))}
        </Group>
      </Checkbox.Group>
    );
  }
  const Input = field.kind === "LONG_TEXT" ? Textarea : TextInput;
  return (
    <Input
      label={label}
      value={writeValue(field.default)}
      disabled={isReadOnly}
      onChange={({ currentTarget: { value } }: { currentTarget: { value: string } }) =>
        onChange({ default: value === "" ? null : parseValue(value, field.kind, "EQ") })
      }
    />
  );
}

interface ChoicesProps {
  choices: readonly Choice[];
  isReadOnly: boolean;
  onChange: (choices: readonly Choice[]) => void;
}

function Choices({ choices, isReadOnly, onChange }: ChoicesProps) {
  const change = (index: number, changes: Partial<Choice>) =>
    onChange(choices.map((choice, at) => (at === index ? { ...choice, ...changes } : choice)));
  return (
    <Stack gap={4} role="group" aria-label={t.options}>
      <Text size="sm" fw={500}>
        {t.options}
      </Text>
      {choices.map((choice, index) => (
        <Group key={index} gap="xs" wrap="nowrap">
          <TextInput
            flex={1}
            aria-label={t.optionValue(index + 1)}
            placeholder={t.value}
            value={choice.value}
            disabled={isReadOnly}
            onChange={({ currentTarget }) => change(index, { value: currentTarget.value })}
          />
          <TextInput
            flex={1}
            aria-label={t.optionLabel(index + 1)}
            placeholder={t.label}
            value={choice.label}
            disabled={isReadOnly}
            onChange={({ currentTarget }) => change(index, { label: currentTarget.value })}
          />
          {!isReadOnly && (
            <ActionIcon
              variant="default"
              aria-label={t.removeOption(index + 1)}
              title={t.removeOption(index + 1)}
              onClick={() => onChange(choices.filter((_, at) => at !== index))}
            >
              <IconTrash size={16} />
            </ActionIcon>
          )}
        </Group>
      ))}
      {!isReadOnly && (
        <Group>
          <Button
            variant="default"
            size="xs"
            leftSection={<IconPlus size={14} />}
            onClick={() => onChange([...choices, { value: "", label: "" }])}
          >
            {t.addOption}
          </Button>
        </Group>
      )}
    </Stack>
  );
}
