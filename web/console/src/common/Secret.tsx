import { Button, Code, CopyButton, Group, Stack, Text } from "@mantine/core";
import { texts } from "../texts";

interface Props {
  secret: string;
  label: string;
  hint: string;
  copyLabel: string;
  onClose: () => void;
}

/** A secret that the server returns only once. */
export function Secret({ secret, label, hint, copyLabel, onClose }: Props) {
  return (
    <Stack>
      <Text>{hint}</Text>
      <Code block tabIndex={0} aria-label={label}>
        {secret}
      </Code>
      <Group>
        <CopyButton value={secret}>
          {({ copied, copy }) => <Button onClick={copy}>{copied ? texts.event.copied : copyLabel}</Button>}
        </CopyButton>
        <Button variant="default" onClick={onClose}>
          {texts.close}
        </Button>
      </Group>
    </Stack>
  );
}
