// The mapping of a source: an expression for each attribute of its events.

import { ActionIcon, Box, Button, Group, NativeSelect, Stack, Text } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { useMemo, useRef, useState } from "react";
import { flushSync } from "react-dom";
import type { SourceMappingInput } from "../../api/generated";
import { CelEditor, type ExpressionProblem } from "../../common/cel/CelEditor";
import { createMappingCompletion } from "../../common/cel/completion";
import { Prose } from "../../common/Prose";
import { texts } from "../../texts";

const t = texts.sources;
const NO_PROBLEMS: readonly ExpressionProblem[] = [];

export type Attribute = keyof typeof t.attributes;
/** The expressions of the attributes that are mapped. */
export type Mapping = Partial<Record<Attribute, string>>;

export const ATTRIBUTES = Object.keys(t.attributes) as Attribute[];

export function toInput(mapping: Mapping): SourceMappingInput {
  const mapped = ATTRIBUTES.filter((attribute) => mapping[attribute] !== undefined);
  const expressions = Object.fromEntries(mapped.map((attribute) => [attribute, mapping[attribute]!]));
  return { ...expressions, summary: mapping.summary ?? "" };
}

interface Props {
  mapping: Mapping;
  onChange: (mapping: Mapping) => void;
  /** The value of the payload, whose keys are completed. */
  sample: unknown;
  problems: ReadonlyMap<string, readonly ExpressionProblem[]>;
}

export function MappingEditor({ mapping, onChange, sample, problems }: Props) {
  const unused = ATTRIBUTES.filter((attribute) => mapping[attribute] === undefined);
  const [chosen, setChosen] = useState<Attribute | null>(null);
  const added = chosen && unused.includes(chosen) ? chosen : unused[0];
  const addButton = useRef<HTMLButtonElement>(null);
  const completion = useMemo(() => createMappingCompletion(sample), [sample]);

  return (
    <Stack gap="xs">
      <Text size="sm">
        <Prose text={t.mappingHint} />
      </Text>
      {ATTRIBUTES.filter((attribute) => mapping[attribute] !== undefined).map((attribute) => (
        <Group key={attribute} gap={4} align="start" wrap="nowrap">
          <Box flex={1} miw={0}>
            <CelEditor
              label={t.attributes[attribute]}
              value={mapping[attribute]!}
              onChange={(expression) => onChange({ ...mapping, [attribute]: expression })}
              completion={completion}
              problems={problems.get(attribute) ?? NO_PROBLEMS}
              isCompact
            />
          </Box>
          {attribute !== "summary" && (
            <ActionIcon
              variant="subtle"
              color="gray"
              mt={24}
              aria-label={t.removeAttribute(t.attributes[attribute])}
              title={t.removeAttribute(t.attributes[attribute])}
              onClick={() => {
                // The button is not shown while all attributes are mapped.
                flushSync(() => onChange({ ...mapping, [attribute]: undefined }));
                addButton.current?.focus();
              }}
            >
              <IconTrash size={16} />
            </ActionIcon>
          )}
        </Group>
      ))}
      {added && (
        <Group align="end" gap="xs">
          <NativeSelect
            label={t.otherAttribute}
            value={added}
            onChange={({ currentTarget }) => setChosen(currentTarget.value as Attribute)}
            data={unused.map((value) => ({ value, label: t.attributes[value] }))}
          />
          <Button ref={addButton} variant="default" onClick={() => onChange({ ...mapping, [added]: "" })}>
            {t.addAttribute}
          </Button>
        </Group>
      )}
    </Stack>
  );
}
