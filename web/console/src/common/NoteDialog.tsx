import { Button, Stack, TextInput } from "@mantine/core";
import type { FormEvent } from "react";
import { SaveError } from "../shell/states";
import { texts } from "../texts";
import { Dialog } from "./Dialog";

interface Props {
  isOpen: boolean;
  onClose: () => void;
  title: string;
  action: string;
  /** Gets the note, or null if it is empty. */
  onSubmit: (note: string | null) => void;
  isPending: boolean;
  error: Error | null;
}

/** Asks for a note before one or more events are acknowledged or resolved. */
export function NoteDialog({ isOpen, onClose, title, action, onSubmit, isPending, error }: Props) {
  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const note = String(new FormData(event.currentTarget).get("note") ?? "").trim();
    onSubmit(note || null);
  }

  return (
    <Dialog isOpen={isOpen} onClose={onClose} title={title}>
      <form onSubmit={submit}>
        <Stack>
          <SaveError error={error} />
          <TextInput name="note" label={texts.note} maxLength={1000} data-autofocus />
          <Button type="submit" loading={isPending}>
            {action}
          </Button>
        </Stack>
      </form>
    </Dialog>
  );
}
