import { TextInput, type TextInputProps } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useEffect, useState } from "react";

const TYPING_MS = 300;

interface Props extends Omit<TextInputProps, "value" | "onChange"> {
  value: string;
  onChange: (value: string) => void;
}

/** An input whose value is applied as soon as its user stops typing. */
export function DebouncedInput({ value, onChange, ...props }: Props) {
  const [text, setText] = useState(value);
  const apply = useDebouncedCallback((next: string) => onChange(next.trim()), TYPING_MS);
  useEffect(() => setText(value), [value]);
  return (
    <TextInput
      {...props}
      value={text}
      onChange={({ currentTarget }) => {
        setText(currentTarget.value);
        apply(currentTarget.value);
      }}
    />
  );
}
