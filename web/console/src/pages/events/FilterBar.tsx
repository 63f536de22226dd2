// The conditions of the list: a search field, menus, and a chip for each condition.

import {
  ActionIcon,
  Badge,
  Button,
  CloseButton,
  Group,
  NativeSelect,
  Popover,
  Stack,
  TextInput,
} from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { IconBookmark, IconSearch, IconX } from "@tabler/icons-react";
import { type FormEvent, type ReactNode, type RefObject, useEffect, useState } from "react";
import { useNavigate } from "react-router";
import { useEventTypes } from "../../api/pages";
import { SeverityLabel } from "../../common/severity";
import { formatAbsolute, useTimePreferences } from "../../common/time";
import { useStored } from "../../common/stored";
import { formatValue } from "../../common/values";
import { texts } from "../../texts";
import { AddCondition } from "./AddCondition";
import { ALL, hasOperand, isFiltered, ORDER_FIELDS, RANGES, type View, writeView } from "./view";

const t = texts.events;
const SEARCH_MS = 300;

interface Props {
  view: View;
  onChange: (changes: Partial<View>) => void;
  search: RefObject<HTMLInputElement | null>;
  children: ReactNode;
}

export function FilterBar({ view, onChange, search, children }: Props) {
  return (
    <Stack gap="xs">
      <Group gap="xs" align="end">
        <Search view={view} onChange={onChange} field={search} />
        <NativeSelect
          label={t.range}
          flex="1 0 9.5rem"
          value={view.from || view.to ? "custom" : view.range}
          onChange={({ currentTarget: { value } }) =>
            value !== "custom" && onChange({ range: value as View["range"], from: "", to: "" })
          }
          data={[
            { value: "", label: t.allTime },
            ...RANGES.map((range) => ({ value: range, label: t.ranges[range] })),
            ...(view.from || view.to ? [{ value: "custom", label: t.customRange }] : []),
          ]}
        />
        <NativeSelect
          label={t.order}
          flex="1 0 9.5rem"
          value={`${view.orderField} ${view.direction}`}
          onChange={({ currentTarget: { value } }) => {
            const [orderField, direction] = value.split(" ") as [View["orderField"], View["direction"]];
            onChange({ orderField, direction });
          }}
          data={ORDER_FIELDS.flatMap((field) =>
            (["DESC", "ASC"] as const).map((direction) => ({
              value: `${field} ${direction}`,
              label: t.orders[field][direction],
            })),
          )}
        />
        <AddCondition view={view} onChange={onChange} />
        <SavedViews view={view} />
        {children}
      </Group>
      <Chips view={view} onChange={onChange} />
    </Stack>
  );
}

interface SearchProps extends Pick<Props, "view" | "onChange"> {
  field: Props["search"];
}

function Search({ view, onChange, field }: SearchProps) {
  const [text, setText] = useState(view.search);
  const apply = useDebouncedCallback((search: string) => onChange({ search }), SEARCH_MS);
  useEffect(() => setText(view.search), [view.search]);

  return (
    <TextInput
      ref={field}
      type="search"
      label={t.search}
      placeholder={t.searchHint}
      flex="5 1 18rem"
      value={text}
      onChange={({ currentTarget: { value } }) => {
        setText(value);
        apply(value);
      }}
      leftSection={<IconSearch size={16} aria-hidden />}
      rightSection={
        text && (
          <CloseButton
            aria-label={t.clearSearch}
            onClick={() => {
              setText("");
              onChange({ search: "" });
            }}
          />
        )
      }
    />
  );
}

export function Chips({ view, onChange }: Pick<Props, "view" | "onChange">) {
  const [{ isUtc }] = useTimePreferences();
  const types = useEventTypes(view.fields.length > 0);
  const chips: [string, ReactNode, Partial<View>][] = [];
  for (const severity of view.severities) {
    chips.push([
      `${t.conditions.severities} ${texts.severities[severity]}`,
      <SeverityLabel severity={severity} />,
      { severities: view.severities.filter((each) => each !== severity) },
    ]);
  }
  for (const status of view.statuses) {
    const label = `${t.conditions.statuses}: ${texts.statuses[status]}`;
    chips.push([label, label, { statuses: view.statuses.filter((each) => each !== status) }]);
  }
  for (const kind of ["types", "tags"] as const) {
    for (const value of view[kind]) {
      const label = `${t.conditions[kind]}: ${value}`;
      chips.push([label, label, { [kind]: view[kind].filter((each) => each !== value) }]);
    }
  }
  for (const condition of view.fields) {
    const { field, operator, value } = condition;
    const definition = types.flatMap((type) => type.fields).find(({ name }) => name === field);
    const operand = hasOperand(operator) ? formatValue(value, definition?.unit) : "";
    const label = `${definition?.label ?? field} ${t.operators[operator]} ${operand}`.trim();
    chips.push([label, label, { fields: view.fields.filter((each) => each !== condition) }]);
  }
  for (const kind of ["category", "source", "entity", "silencedBy", "acknowledged", "notification"] as const) {
    const value = view[kind];
    if (!value) continue;
    const shown = value === "true" ? t.yes : value === "false" ? t.no : value;
    const ofType = kind === "entity" && view.entityType;
    const label = ofType ? `${texts.filter.names.entity}: ${ofType} ${value}` : `${t.conditions[kind]}: ${shown}`;
    chips.push([label, label, kind === "entity" ? { entity: "", entityType: "" } : { [kind]: "" }]);
  }
  if (view.from || view.to) {
    const [from, to] = [view.from, view.to].map((time) => time && formatAbsolute(new Date(time), isUtc));
    const label = t.rangeChip(from || "", to || "");
    chips.push([label, label, { from: "", to: "" }]);
  }
  if (chips.length === 0) return null;

  return (
    <Group gap="xs" role="group" aria-label={t.filters}>
      {chips.map(([name, content, removal]) => (
        <Badge
          key={name}
          variant="default"
          size="lg"
          tt="none"
          fw={500}
          rightSection={
            <ActionIcon
              size="xs"
              variant="transparent"
              color="var(--mantine-color-text)"
              aria-label={t.removeFilter(name)}
              onClick={() => onChange(removal)}
            >
              <IconX size={14} />
            </ActionIcon>
          }
        >
          {content}
        </Badge>
      ))}
      <Button
        variant="subtle"
        size="compact-sm"
        onClick={() => onChange({ ...ALL, orderField: view.orderField, direction: view.direction })}
      >
        {t.clearFilters}
      </Button>
    </Group>
  );
}

interface SavedView {
  name: string;
  query: string;
}

/** Views that the reader has saved in this browser. */
const NO_VIEWS: SavedView[] = [];

function SavedViews({ view }: Pick<Props, "view">) {
  const [views, setViews] = useStored("views", NO_VIEWS);
  const navigate = useNavigate();
  const [isOpen, setIsOpen] = useState(false);

  function save(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget).get("name") ?? "").trim();
    if (!name) return;
    const saved = { name, query: String(writeView(view)) };
    setViews([...views.filter((each) => each.name !== name), saved]);
    setIsOpen(false);
  }

  return (
    <Popover opened={isOpen} onChange={setIsOpen} trapFocus width={260} shadow="md">
      <Popover.Target>
        <Button
          variant="default"
          leftSection={<IconBookmark size={16} />}
          aria-expanded={isOpen}
          onClick={() => setIsOpen((now) => !now)}
        >
          {t.views}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <Stack gap="xs">
          {views.map(({ name, query }) => (
            <Group key={name} gap="xs" wrap="nowrap" justify="space-between">
              <Button
                variant="subtle"
                justify="start"
                flex={1}
                onClick={() => {
                  void navigate(`/events?${query}`);
                  setIsOpen(false);
                }}
              >
                {name}
              </Button>
              <CloseButton
                aria-label={t.deleteView(name)}
                onClick={() => setViews(views.filter((each) => each.name !== name))}
              />
            </Group>
          ))}
          <form onSubmit={save}>
            <Stack gap="xs">
              <TextInput
                name="name"
                label={t.viewName}
                description={isFiltered(view) ? undefined : t.viewHint}
                maxLength={100}
                required
                withAsterisk={false}
              />
              <Button type="submit">{t.saveView}</Button>
            </Stack>
          </form>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}
