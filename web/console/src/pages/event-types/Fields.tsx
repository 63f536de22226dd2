// The fields of a form: added, changed, removed, and ordered by dragging or with the keyboard.

import {
  closestCenter,
  DndContext,
  type DragEndEvent,
  KeyboardSensor,
  MeasuringStrategy,
  PointerSensor,
  useSensor,
  useSensors,
} from "@dnd-kit/core";
import { arrayMove, SortableContext, sortableKeyboardCoordinates, useSortable, verticalListSortingStrategy } from "@dnd-kit/sortable";
import { CSS } from "@dnd-kit/utilities";
import { ActionIcon, Button, Group, Stack, Text } from "@mantine/core";
import { IconGripVertical, IconPlus, IconTrash } from "@tabler/icons-react";
import { useRef, useState } from "react";
import { texts } from "../../texts";
import { createField, type FieldDraft } from "./draft";
import { FieldForm } from "./FieldForm";
import classes from "./Fields.module.css";

const t = texts.eventTypes;
const MEASURING = { droppable: { strategy: MeasuringStrategy.Always } };

interface Props {
  fields: readonly FieldDraft[];
  /** The message of the problem of a field, by its index. */
  problemOf: (index: number) => string | undefined;
  isReadOnly: boolean;
  onChange: (fields: readonly FieldDraft[]) => void;
  onChangeField: (key: string, changes: Partial<FieldDraft>) => void;
}

export function Fields({ fields, problemOf, isReadOnly, onChange, onChangeField }: Props) {
  const [opened, setOpened] = useState<string | null>(null);
  const addButton = useRef<HTMLButtonElement>(null);
  const sensors = useSensors(
    useSensor(PointerSensor, { activationConstraint: { distance: 4 } }),
    useSensor(KeyboardSensor, { coordinateGetter: sortableKeyboardCoordinates }),
  );
  const labelOf = (key: string | number) => {
    const field = fields.find((each) => each.key === key);
    return field ? field.label || field.name : "";
  };
  const positionOf = (key: string | number) => fields.findIndex((each) => each.key === key) + 1;

  function drop({ active, over }: DragEndEvent): void {
    if (!over || active.id === over.id) return;
    onChange(arrayMove([...fields], positionOf(active.id) - 1, positionOf(over.id) - 1));
  }

  function add(): void {
    const field = createField(fields);
    onChange([...fields, field]);
    setOpened(field.key);
  }

  return (
    <Stack gap="xs">
      {fields.length === 0 && <Text>{t.noFields}</Text>}
      <DndContext
        sensors={sensors}
        collisionDetection={closestCenter}
        measuring={MEASURING}
        // Fields of one height can be moved past each other.
        onDragStart={() => setOpened(null)}
        onDragEnd={drop}
        accessibility={{
          screenReaderInstructions: { draggable: t.dragHelp },
          announcements: {
            onDragStart: ({ active }) => t.dragStart(labelOf(active.id)),
            onDragOver: ({ active, over }) => over ? t.dragOver(labelOf(active.id), positionOf(over.id)) : undefined,
            onDragEnd: ({ active, over }) => t.dragEnd(labelOf(active.id), positionOf(over?.id ?? active.id)),
            onDragCancel: ({ active }) => t.dragCancel(labelOf(active.id)),
          },
        }}
      >
        <SortableContext items={fields.map(({ key }) => key)} strategy={verticalListSortingStrategy}>
          <ul className={classes.list} aria-label={t.fields}>
            {fields.map((field, index) => (
              <Field
                key={field.key}
                field={field}
                problem={problemOf(index)}
                isOpen={opened === field.key}
                isReadOnly={isReadOnly}
                onToggle={() => setOpened((now) => (now === field.key ? null : field.key))}
                onChange={(changes) => onChangeField(field.key, changes)}
                onRemove={() => {
                  onChange(fields.filter(({ key }) => key !== field.key));
                  addButton.current?.focus();
                }}
              />
            ))}
          </ul>
        </SortableContext>
      </DndContext>
      {!isReadOnly && (
        <Group>
          <Button ref={addButton} variant="default" leftSection={<IconPlus size={16} />} onClick={add}>
            {t.addField}
          </Button>
        </Group>
      )}
    </Stack>
  );
}

interface FieldProps {
  field: FieldDraft;
  problem: string | undefined;
  isOpen: boolean;
  isReadOnly: boolean;
  onToggle: () => void;
  onChange: (changes: Partial<FieldDraft>) => void;
  onRemove: () => void;
}

function Field({ field, problem, isOpen, isReadOnly, onToggle, onChange, onRemove }: FieldProps) {
  const { attributes, listeners, setNodeRef, setActivatorNodeRef, transform, transition } = useSortable({
    id: field.key,
    disabled: isReadOnly,
  });
  const label = field.label || field.name;
  return (
    <li ref={setNodeRef} className={classes.item} style={{ transform: CSS.Transform.toString(transform), transition }}>
      <Group gap="xs" wrap="nowrap">
        {!isReadOnly && (
          <ActionIcon
            ref={setActivatorNodeRef}
            className={classes.handle}
            variant="subtle"
            color="gray"
            {...attributes}
            {...listeners}
            aria-label={t.move(label)}
          >
            <IconGripVertical size={16} />
          </ActionIcon>
        )}
        <button type="button" className={classes.name} aria-expanded={isOpen} onClick={onToggle}>
          <span>{label}</span>
          <Text component="span" size="sm" c="dimmed">
            {t.fieldInWords(field.name, t.kinds[field.kind], field.required, field.unit)}
          </Text>
        </button>
        {!isReadOnly && (
          <ActionIcon variant="default" aria-label={t.remove(label)} title={t.remove(label)} onClick={onRemove}>
            <IconTrash size={16} />
          </ActionIcon>
        )}
      </Group>
      {problem && (
        <Text size="sm" c="var(--mantine-color-error)">
          {problem}
        </Text>
      )}
      {isOpen && <FieldForm field={field} isReadOnly={isReadOnly} onChange={onChange} />}
    </li>
  );
}
