import { Button, Code, CopyButton, Stack, Text } from "@mantine/core";
import { useId } from "react";
import { texts } from "../texts";

interface Props {
  label: string;
  text: string;
}

/** Text for other programs, with a button that copies it. */
export function Copyable({ label, text }: Props) {
  const id = useId();
  return (
    <Stack gap={4} align="start">
      <Text id={id} size="sm" fw={500}>
        {label}
      </Text>
      <Code block tabIndex={0} w="100%" role="group" aria-labelledby={id} style={{ overflow: "auto" }}>
        {text}
      </Code>
      <CopyButton value={text}>
        {({ copied, copy }) => (
          <Button size="xs" variant="default" onClick={copy}>
            {copied ? texts.event.copied : texts.copy(label)}
          </Button>
        )}
      </CopyButton>
    </Stack>
  );
}
