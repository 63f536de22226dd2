import { Button, Group, Stack, Text } from "@mantine/core";
import { useEffect } from "react";
import { useBlocker } from "react-router";
import { texts } from "../texts";
import { Dialog } from "./Dialog";
import { countUnsaved } from "./unsavedInput";

const t = texts.unsaved;

/** The state of a navigation after saving, which nothing has to prevent. */
export const SAVED = { isSaved: true };

/** Asks before changes that have not been saved are lost. */
export function UnsavedChanges({ exist }: { exist: boolean }) {
  const blocker = useBlocker(
    ({ currentLocation, nextLocation }) =>
      exist &&
      currentLocation.pathname !== nextLocation.pathname &&
      !(nextLocation.state as typeof SAVED | null)?.isSaved,
  );
  useEffect(() => {
    if (!exist) return;
    const prevent = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", prevent);
    const release = countUnsaved();
    return () => {
      release();
      removeEventListener("beforeunload", prevent);
    };
  }, [exist]);

  return (
    <Dialog isOpen={blocker.state === "blocked"} onClose={() => blocker.reset?.()} title={t.title}>
      <Stack>
        <Text>{t.hint}</Text>
        <Group>
          <Button color="red.9" onClick={() => blocker.proceed?.()}>
            {t.leave}
          </Button>
          <Button variant="default" data-autofocus onClick={() => blocker.reset?.()}>
            {t.stay}
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
