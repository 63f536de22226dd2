// The conditions of a filter that is stored with an object, such as a silence: those of the event list.

import { Input, Stack } from "@mantine/core";
import { texts } from "../../texts";
import { AddCondition } from "./AddCondition";
import { Chips } from "./FilterBar";
import type { View } from "./view";

interface Props {
  view: View;
  onChange: (view: View) => void;
  hint: string;
  error?: string;
}

export function FilterEditor({ view, onChange, hint, error }: Props) {
  const change = (changes: Partial<View>) => onChange({ ...view, ...changes });
  return (
    <Input.Wrapper label={texts.conditions} labelElement="div" description={hint} error={error}>
      <Stack gap="xs" mt={4} align="start">
        <Chips view={view} onChange={change} />
        <AddCondition view={view} onChange={change} />
      </Stack>
    </Input.Wrapper>
  );
}
