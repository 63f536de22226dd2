// How the list is displayed: columns, times.

import { Button, Checkbox, Popover, ScrollArea, Stack, Switch, Text } from "@mantine/core";
import { IconColumns3 } from "@tabler/icons-react";
import { useState } from "react";
import { useEventTypes } from "../../api/pages";
import { useTimePreferences } from "../../common/time";
import { texts } from "../../texts";
import { COLUMNS, useColumns } from "./columns";

const t = texts.events;

export function ViewOptions() {
  const [isOpen, setIsOpen] = useState(false);
  const [columns, setColumns] = useColumns();
  const [time, setTime] = useTimePreferences();
  const types = useEventTypes(isOpen);
  const fields = new Map(
    types.flatMap(({ fields }) => fields).map(({ name, label }) => [name, label]),
  );

  const toggle = <T,>(list: readonly T[], item: T): T[] =>
    list.includes(item) ? list.filter((each) => each !== item) : [...list, item];

  return (
    <Popover opened={isOpen} onChange={setIsOpen} trapFocus width={280} shadow="md">
      <Popover.Target>
        <Button
          variant="default"
          leftSection={<IconColumns3 size={16} />}
          aria-expanded={isOpen}
          onClick={() => setIsOpen((now) => !now)}
        >
          {t.display}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <ScrollArea.Autosize mah="60vh" type="auto">
          <Stack gap="xs">
            <Text fw={600} size="sm">
              {t.times}
            </Text>
            <Switch
              label={t.relativeTimes}
              checked={time.isRelative}
              onChange={() => setTime({ ...time, isRelative: !time.isRelative })}
            />
            <Switch
              label={t.utc}
              checked={time.isUtc}
              onChange={() => setTime({ ...time, isUtc: !time.isUtc })}
            />
            <Text fw={600} size="sm">
              {t.columnsTitle}
            </Text>
            {COLUMNS.map((column) => (
              <Checkbox
                key={column}
                label={t.columns[column]}
                // Without a summary, an event could not be opened.
                disabled={column === "summary"}
                checked={columns.shown.includes(column)}
                onChange={() => setColumns({ ...columns, shown: toggle(columns.shown, column) })}
              />
            ))}
            {fields.size > 0 && (
              <Text fw={600} size="sm">
                {t.fieldsTitle}
              </Text>
            )}
            {[...fields].map(([name, label]) => (
              <Checkbox
                key={name}
                label={label === name ? name : `${label} (${name})`}
                checked={columns.fields.includes(name)}
                onChange={() => setColumns({ ...columns, fields: toggle(columns.fields, name) })}
              />
            ))}
          </Stack>
        </ScrollArea.Autosize>
      </Popover.Dropdown>
    </Popover>
  );
}
