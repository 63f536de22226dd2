// A form in a popover that adds a condition: choose its kind and its value.

import { Button, NativeSelect, Popover, Stack, TextInput } from "@mantine/core";
import { IconFilterPlus } from "@tabler/icons-react";
import { type FormEvent, useState } from "react";
import type { FilterValuesQuery } from "../../api/generated";
import { useEventTypes } from "../../api/pages";
import { usePopoverOfDialog } from "../../common/Dialog";
import { SEVERITIES } from "../../common/severity";
import { texts } from "../../texts";
import { type FieldCondition, hasOperand, type Operator, OPERATORS, STATUSES, type View } from "./view";

const t = texts.events;

type Field = FilterValuesQuery["eventTypes"]["nodes"][number]["fields"][number];

const KINDS = [
  "severities",
  "statuses",
  "acknowledged",
  "notification",
  "types",
  "tags",
  "category",
  "source",
  "entity",
  "fields",
] as const;
const YES_OR_NO = [
  { value: "false", label: t.no },
  { value: "true", label: t.yes },
];

interface Props {
  view: View;
  onChange: (changes: Partial<View>) => void;
}

export function AddCondition({ view, onChange }: Props) {
  const [isOpen, setIsOpen] = useState(false);
  const [kind, setKind] = useState<(typeof KINDS)[number]>("severities");
  usePopoverOfDialog(isOpen);
  const types = useEventTypes(isOpen);
  const fields = new Map(types.flatMap((type) => type.fields).map((field) => [field.name, field]));

  function add(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    // In React, the event would bubble from the popover to the form of a dialog around it.
    event.stopPropagation();
    const form = new FormData(event.currentTarget);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const value = text("value");
    if (kind === "fields") {
      const operator = text("operator") as Operator;
      const field = text("field");
      if (!field || (hasOperand(operator) && !value)) return;
      const operand = operator === "CONTAINS" ? value : parseValue(value, fields.get(field));
      onChange({ fields: [...view.fields, { field, operator, value: hasOperand(operator) ? operand : null }] });
    } else if (!value) {
      return;
    } else if (kind === "severities" || kind === "statuses" || kind === "types" || kind === "tags") {
      onChange({ [kind]: [...new Set<string>([...view[kind], value])] });
    } else if (kind === "entity") {
      onChange({ entity: value, entityType: text("entityType") });
    } else {
      onChange({ [kind]: value });
    }
    setIsOpen(false);
  }

  return (
    <Popover opened={isOpen} onChange={setIsOpen} trapFocus width={280} shadow="md">
      <Popover.Target>
        <Button
          variant="default"
          leftSection={<IconFilterPlus size={16} />}
          aria-expanded={isOpen}
          onClick={() => setIsOpen((now) => !now)}
        >
          {t.addFilter}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <form onSubmit={add} aria-label={t.addFilter}>
          <Stack gap="xs">
            <NativeSelect
              label={t.condition}
              value={kind}
              onChange={({ currentTarget }) => setKind(currentTarget.value as typeof kind)}
              data={KINDS.map((value) => ({ value, label: t.conditions[value] }))}
            />
            {kind === "severities" && (
              <NativeSelect
                name="value"
                label={t.value}
                data={SEVERITIES.map((value) => ({ value, label: texts.severities[value] }))}
              />
            )}
            {kind === "statuses" && (
              <NativeSelect
                name="value"
                label={t.value}
                data={STATUSES.map((value) => ({ value, label: texts.statuses[value] }))}
              />
            )}
            {(kind === "acknowledged" || kind === "notification") && (
              <NativeSelect name="value" label={t.value} data={YES_OR_NO} />
            )}
            {kind === "fields" && <FieldInputs fields={fields} />}
            {(kind === "types" ||
              kind === "tags" ||
              kind === "category" ||
              kind === "source" ||
              kind === "entity") && (
              <TextInput
                name="value"
                label={t.value}
                description={kind === "types" ? t.typesHint : undefined}
                list={kind === "types" ? "known-types" : undefined}
                autoComplete="off"
                required
                withAsterisk={false}
              />
            )}
            {kind === "entity" && <TextInput name="entityType" label={t.entityType} autoComplete="off" />}
            <datalist id="known-types">
              {types.map(({ type, name }) => (
                <option key={type} value={type}>
                  {name}
                </option>
              ))}
            </datalist>
            <Button type="submit">{t.add}</Button>
          </Stack>
        </form>
      </Popover.Dropdown>
    </Popover>
  );
}

function FieldInputs({ fields }: { fields: ReadonlyMap<string, Field> }) {
  const [name, setName] = useState("");
  const [operator, setOperator] = useState<Operator>("EQ");
  const field = fields.get(name);
  const label = field?.unit ? t.valueWithUnit(field.unit) : t.value;
  const choices = field?.kind === "BOOLEAN" ? YES_OR_NO : field?.options;
  return (
    <>
      <TextInput
        name="field"
        label={t.field}
        list="known-fields"
        autoComplete="off"
        required
        withAsterisk={false}
        value={name}
        onChange={({ currentTarget }) => setName(currentTarget.value)}
      />
      <datalist id="known-fields">
        {[...fields.values()].map((each) => (
          <option key={each.name} value={each.name}>
            {each.label}
          </option>
        ))}
      </datalist>
      <NativeSelect
        name="operator"
        label={t.operator}
        value={operator}
        onChange={({ currentTarget }) => setOperator(currentTarget.value as Operator)}
        data={OPERATORS.map((value) => ({ value, label: t.operators[value] }))}
      />
      {hasOperand(operator) &&
        (choices ? (
          <NativeSelect name="value" label={label} data={choices} />
        ) : (
          <TextInput name="value" label={label} required withAsterisk={false} autoComplete="off" />
        ))}
    </>
  );
}

/** Values of different JSON types are never equal: the kind of the field decides, or the text. */
function parseValue(text: string, field: Field | undefined): FieldCondition["value"] {
  const isNumber = text !== "" && Number.isFinite(Number(text));
  switch (field?.kind) {
    case "BOOLEAN":
      return text === "true";
    case "NUMBER":
    case "INTEGER":
    case undefined:
      return isNumber ? Number(text) : text;
    default:
      return text;
  }
}
