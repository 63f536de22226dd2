import { TextInput, type TextInputProps } from "@mantine/core";
import { useEffect, useState } from "react";
import { fromLocalInput, toLocalInput } from "./localTime";

interface Props extends Omit<TextInputProps, "value" | "onChange" | "type"> {
  /** A time in RFC 3339 format. Empty if there is none. */
  value: string;
  onChange: (value: string) => void;
}

/** An input of a time. Its user applies it by Enter or by leaving it, because a time that is half typed is another one. */
export function TimeInput({ value, onChange, ...props }: Props) {
  const [text, setText] = useState(toLocalInput(value));
  useEffect(() => setText(toLocalInput(value)), [value]);

  function apply({ validity }: HTMLInputElement): void {
    if (text !== toLocalInput(value) && !validity.badInput) onChange(fromLocalInput(text) ?? "");
  }

  return (
    <TextInput
      {...props}
      type="datetime-local"
      value={text}
      onChange={({ currentTarget }) => setText(currentTarget.value)}
      onBlur={({ currentTarget }) => apply(currentTarget)}
      onKeyDown={({ key, currentTarget }) => key === "Enter" && apply(currentTarget)}
    />
  );
}
