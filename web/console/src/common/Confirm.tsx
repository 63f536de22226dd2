import { Button, Group, Stack, Text } from "@mantine/core";
import type { UseMutationResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { SaveError } from "../shell/states";
import { texts } from "../texts";
import { Dialog } from "./Dialog";

interface Props {
  isOpen: boolean;
  onClose: () => void;
  title: string;
  /** What happens, in words. */
  children: ReactNode;
  action: string;
  isDangerous?: boolean;
  mutation: UseMutationResult<unknown, Error, void>;
}

/** Asks before a change. The dialog remains open if the change fails. */
export function Confirm({ isOpen, onClose, title, children, action, isDangerous, mutation }: Props) {
  return (
    <Dialog isOpen={isOpen} onClose={onClose} title={title}>
      <Stack>
        {typeof children === "string" ? <Text>{children}</Text> : children}
        <SaveError error={mutation.error} />
        <Group>
          <Button
            color={isDangerous ? "red.9" : undefined}
            loading={mutation.isPending}
            onClick={() => mutation.mutate()}
          >
            {action}
          </Button>
          <Button variant="default" data-autofocus onClick={onClose}>
            {texts.cancel}
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
