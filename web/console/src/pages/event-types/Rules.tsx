// Conditional rules, as sentences and in a builder.

import { ActionIcon, Button, Checkbox, Group, JsonInput, NativeSelect, Stack, Text, TextInput } from "@mantine/core";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import { useRef, useState } from "react";
import type { ConditionalEffect, PredicateOperator } from "../../api/generated";
import { texts } from "../../texts";
import { describeRule, operatorsOf, parseValue, readSimple, writeValue } from "./conditions";
import { type Condition, createRule, type FieldDraft, isCondition, type Predicate, type RuleDraft } from "./draft";
import classes from "./Fields.module.css";

const t = texts.eventTypes;
const EFFECTS: ConditionalEffect[] = ["SHOW", "HIDE", "REQUIRE"];

interface Props {
  rules: readonly RuleDraft[];
  fields: readonly FieldDraft[];
  problemOf: (index: number) => string | undefined;
  isReadOnly: boolean;
  onChange: (rules: readonly RuleDraft[]) => void;
}

export function Rules({ rules, fields, problemOf, isReadOnly, onChange }: Props) {
  const [opened, setOpened] = useState<string | null>(null);
  const addButton = useRef<HTMLButtonElement>(null);

  function add(): void {
    const rule = createRule(fields);
    onChange([...rules, rule]);
    setOpened(rule.key);
  }

  return (
    <Stack gap="xs">
      {rules.length === 0 && <Text>{t.noRules}</Text>}
      <ul className={classes.list} aria-label={t.conditionalRules}>
        {rules.map((rule, index) => {
          const problem = problemOf(index);
          const sentence = describeRule(rule, fields);
          return (
            <li key={rule.key} className={classes.item}>
              <Group gap="xs" wrap="nowrap">
                <button
                  type="button"
                  className={classes.name}
                  aria-expanded={opened === rule.key}
                  onClick={() => setOpened((now) => (now === rule.key ? null : rule.key))}
                >
                  <span>{sentence}</span>
                  {!rule.enabled && (
                    <Text component="span" size="sm" c="dimmed">
                      {t.ruleDisabled}
                    </Text>
                  )}
                </button>
                {!isReadOnly && (
                  <ActionIcon
                    variant="default"
                    aria-label={t.removeRule(sentence)}
                    title={t.removeRule(sentence)}
                    onClick={() => {
                      onChange(rules.filter(({ key }) => key !== rule.key));
                      addButton.current?.focus();
                    }}
                  >
                    <IconTrash size={16} />
                  </ActionIcon>
                )}
              </Group>
              {problem && (
                <Text size="sm" c="var(--mantine-color-error)">
                  {problem}
                </Text>
              )}
              {opened === rule.key && (
                <RuleForm
                  rule={rule}
                  fields={fields}
                  isReadOnly={isReadOnly}
                  onChange={(changes) =>
                    onChange(rules.map((each) => (each.key === rule.key ? { ...each, ...changes } : each)))
                  }
                />
              )}
            </li>
          );
        })}
      </ul>
      {!isReadOnly && (
        <Group>
          <Button
            ref={addButton}
            variant="default"
            leftSection={<IconPlus size={16} />}
            disabled={fields.length === 0}
            onClick={add}
          >
            {t.addRule}
          </Button>
        </Group>
      )}
    </Stack>
  );
}

interface RuleFormProps {
  rule: RuleDraft;
  fields: readonly FieldDraft[];
  isReadOnly: boolean;
  onChange: (changes: Partial<RuleDraft>) => void;
}

function RuleForm({ rule, fields, isReadOnly, onChange }: RuleFormProps) {
  return (
    <Stack gap="xs" mt="xs" role="group" aria-label={t.ruleAttributes}>
      <TextInput
        label={t.name}
        description={t.ruleNameHint}
        value={rule.name}
        disabled={isReadOnly}
        onChange={({ currentTarget }) => onChange({ name: currentTarget.value })}
      />
      <NativeSelect
        label={t.effect}
        value={rule.effect}
        disabled={isReadOnly}
        onChange={({ currentTarget }) => onChange({ effect: currentTarget.value as ConditionalEffect })}
        data={EFFECTS.map((effect) => ({ value: effect, label: t.effects[effect] }))}
      />
      <Checkbox.Group
        label={t.targets}
        value={[...rule.targets]}
        disabled={isReadOnly}
        onChange={(targets) => onChange({ targets })}
      >
        <Group mt={4}>
          {fields.map(({ key, name, label }) => (
            <Checkbox key={key} value={name} label={label || name} />
          ))}
        </Group>
      </Checkbox.Group>
      <ConditionForm
        condition={rule.condition}
        fields={fields}
        isReadOnly={isReadOnly}
        onChange={(condition) => onChange({ condition })}
      />
      <Checkbox
        label={t.ruleEnabled}
        checked={rule.enabled}
        disabled={isReadOnly}
        onChange={({ currentTarget }) => onChange({ enabled: currentTarget.checked })}
      />
    </Stack>
  );
}

interface ConditionFormProps {
  condition: Condition;
  fields: readonly FieldDraft[];
  isReadOnly: boolean;
  onChange: (condition: Condition) => void;
}

function ConditionForm({ condition, fields, isReadOnly, onChange }: ConditionFormProps) {
  const addButton = useRef<HTMLButtonElement>(null);
  const [removals, setRemovals] = useState(0);
  const simple = readSimple(condition);
  if (!simple) return <ConditionJson {...{ condition, isReadOnly, onChange }} />;
  const { join, predicates } = simple;
  const write = (next: readonly Predicate[], word = join) => {
    const operands = next.map((predicate): Condition => ({ field: predicate }));
    onChange(word === "all" ? { all: operands } : { any: operands });
  };
  const remove = (index: number) => {
    write(predicates.filter((_, at) => at !== index));
    setRemovals(removals + 1);
    addButton.current?.focus();
  };
  return (
    <Stack gap="xs">
      <NativeSelect
        label={t.condition}
        value={join}
        disabled={isReadOnly}
        onChange={({ currentTarget }) => write(predicates, currentTarget.value as "all" | "any")}
        data={[
          { value: "all", label: t.all },
          { value: "any", label: t.any },
        ]}
      />
      {predicates.map((predicate, index) => (
        <PredicateForm
          // The later conditions have moved up, and show their own values.
          key={`${removals}/${index}`}
          index={index}
          predicate={predicate}
          fields={fields}
          isReadOnly={isReadOnly}
          onChange={(next) => write(predicates.map((each, at) => (at === index ? next : each)))}
          onRemove={predicates.length > 1 ? () => remove(index) : null}
        />
      ))}
      {!isReadOnly && (
        <Group>
          <Button
            ref={addButton}
            variant="default"
            size="xs"
            leftSection={<IconPlus size={14} />}
            onClick={() => write([...predicates, { field: fields[0]?.name ?? "", operator: "EXISTS" }])}
          >
            {t.addCondition}
          </Button>
        </Group>
      )}
    </Stack>
  );
}

interface PredicateFormProps {
  index: number;
  predicate: Predicate;
  fields: readonly FieldDraft[];
  isReadOnly: boolean;
  onChange: (predicate: Predicate) => void;
  onRemove: (() => void) | null;
}

function PredicateForm({ index, predicate, fields, isReadOnly, onChange, onRemove }: PredicateFormProps) {
  const field = fields.find(({ name }) => name === predicate.field);
  const operators = operatorsOf(field?.kind);
  // While it is typed, "1." is not yet the number 1.
  const [text, setText] = useState(writeValue(predicate.value));
  const needsValue = predicate.operator !== "EXISTS" && predicate.operator !== "NOT_EXISTS";
  const options =
    predicate.operator === "IN"
      ? null
      : field?.kind === "BOOLEAN"
        ? ["true", "false"].map((value) => ({ value, label: value === "true" ? texts.events.yes : texts.events.no }))
        : field && field.choices.length > 0
          ? field.choices.map((choice) => ({ value: choice.value, label: choice.label || choice.value }))
          : null;

  function change(value: string, operator = predicate.operator, name = predicate.field): void {
    const kind = fields.find((each) => each.name === name)?.kind;
    setText(value);
    const isComplete = operator !== "EXISTS" && operator !== "NOT_EXISTS" && kind !== undefined;
    onChange({ field: name, operator, ...(isComplete ? { value: parseValue(value, kind, operator) } : {}) });
  }

  return (
    <Group gap="xs" align="end" role="group" aria-label={t.conditionNumber(index + 1)}>
      <NativeSelect
        label={t.field}
        value={predicate.field}
        disabled={isReadOnly}
        onChange={({ currentTarget }) => change("", "EXISTS", currentTarget.value)}
        data={fields.map(({ name, label }) => ({ value: name, label: label || name }))}
      />
      <NativeSelect
        label={t.operator}
        value={predicate.operator}
        disabled={isReadOnly}
        onChange={({ currentTarget }) => {
          const operator = currentTarget.value as PredicateOperator;
          change(options && !text ? (options[0]?.value ?? "") : text, operator);
        }}
        data={operators.map((operator) => ({ value: operator, label: t.operators[operator] }))}
      />
      {needsValue &&
        (options ? (
          <NativeSelect
            label={t.value}
            value={text}
            disabled={isReadOnly}
            onChange={({ currentTarget }) => change(currentTarget.value)}
            data={options}
          />
        ) : (
          <TextInput
            label={t.value}
            description={predicate.operator === "IN" ? t.listHint : undefined}
            value={text}
            disabled={isReadOnly}
            onChange={({ currentTarget }) => change(currentTarget.value)}
          />
        ))}
      {onRemove && !isReadOnly && (
        <ActionIcon
          variant="default"
          size="lg"
          aria-label={t.removeCondition(index + 1)}
          title={t.removeCondition(index + 1)}
          onClick={onRemove}
        >
          <IconTrash size={16} />
        </ActionIcon>
      )}
    </Group>
  );
}

/** A condition that is nested, which the builder does not show. */
function ConditionJson({ condition, isReadOnly, onChange }: Omit<ConditionFormProps, "fields">) {
  const [text, setText] = useState(() => JSON.stringify(condition, null, 2));
  return (
    <JsonInput
      label={t.conditionJson}
      description={t.conditionJsonHint}
      validationError={t.invalidJson}
      autosize
      minRows={4}
      value={text}
      disabled={isReadOnly}
      onChange={(next) => {
        setText(next);
        try {
          const value: unknown = JSON.parse(next);
          if (isCondition(value)) onChange(value);
        } catch {
          // It is incomplete while it is typed.
        }
      }}
    />
  );
}
