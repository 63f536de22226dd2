import { JsonInput } from "@mantine/core";
import type { FieldValues } from "@tocsin/react";
import { useState } from "react";
import { texts } from "../texts";

interface Props {
  label: string;
  description?: string;
  /** The values at the beginning. */
  initialFields: FieldValues;
  /** Gets null while the text is not a JSON object. */
  onChange: (fields: FieldValues | null) => void;
  error?: string;
  disabled: boolean;
}

function parseObject(text: string): FieldValues | null {
  try {
    const parsed: unknown = JSON.parse(text.trim() || "{}");
    const isObject = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
    return isObject ? (parsed as FieldValues) : null;
  } catch {
    return null;
  }
}

/** Values of fields that no event type defines, as a JSON object. */
export function JsonFields({ label, description, initialFields, onChange, error, disabled }: Props) {
  const [text, setText] = useState(() =>
    Object.keys(initialFields).length > 0 ? JSON.stringify(initialFields, null, 2) : "",
  );
  const isInvalid = parseObject(text) === null;
  return (
    <JsonInput
      label={label}
      description={description}
      autosize
      minRows={3}
      maxRows={20}
      value={text}
      onChange={(next) => {
        setText(next);
        onChange(parseObject(next));
      }}
      disabled={disabled}
      error={isInvalid ? texts.form.invalidJson : error}
    />
  );
}
