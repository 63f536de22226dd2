// Dialogs that create a silence, and that change its end and its comment.

import { Button, Group, Stack, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useApi } from "../../api/client";
import { CreateSilenceDocument, type SilenceRowFragment, UpdateSilenceDocument } from "../../api/generated";
import { Dialog } from "../../common/Dialog";
import { fromLocalInput, toLocalInput } from "../../common/localTime";
import { checked, problemsAt } from "../../common/userErrors";
import { SaveError } from "../../shell/states";
import { texts } from "../../texts";
import { FilterEditor } from "../events/FilterEditor";
import { ALL, filterOf } from "../events/view";

const t = texts.silences;
const HOUR_MS = 3_600_000;

interface Props {
  /** The silence to change, or null to create one. */
  silence: SilenceRowFragment | null;
  onClose: () => void;
}

export function SilenceForm({ silence, onClose }: Props) {
  const { client } = useApi();
  const queries = useQueryClient();
  const [view, setView] = useState(ALL);
  const saving = useMutation<void, Error, FormData>({
    mutationFn: async (form) => {
      const text = (name: string) => String(form.get(name) ?? "").trim();
      const values = { endsAt: fromLocalInput(text("endsAt"))!, comment: text("comment") };
      if (silence) {
        // Only what was changed: another user may have changed the rest meanwhile.
        const input = {
          id: silence.id,
          ...(text("endsAt") !== toLocalInput(silence.endsAt) && { endsAt: values.endsAt }),
          ...(values.comment !== silence.comment && { comment: values.comment }),
        };
        const changed = await client.request(UpdateSilenceDocument, { input });
        checked(changed.updateSilence);
        return;
      }
      const filter = filterOf(view, Date.now());
      const startsAt = fromLocalInput(text("startsAt"));
      const created = await client.request(CreateSilenceDocument, { input: { filter, startsAt, ...values } });
      checked(created.createSilence);
    },
    onSuccess: async () => {
      await queries.invalidateQueries();
      onClose();
    },
  });

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    saving.mutate(new FormData(event.currentTarget));
  }

  const inAnHour = new Date(Date.now() + HOUR_MS).toISOString();
  return (
    <Dialog isOpen onClose={onClose} title={silence ? t.change : t.create}>
      <form onSubmit={submit}>
        <Stack>
          {!silence && (
            <>
              <FilterEditor
                view={view}
                onChange={setView}
                hint={t.filterHint}
                error={problemsAt(saving.error, "filter")}
              />
              <TextInput name="startsAt" type="datetime-local" label={t.startsAt} description={t.startsAtHint} />
            </>
          )}
          <TextInput
            name="endsAt"
            type="datetime-local"
            step={1}
            label={t.endsAt}
            defaultValue={toLocalInput(silence?.endsAt ?? inAnHour)}
            error={problemsAt(saving.error, "endsAt")}
            required
            withAsterisk={false}
          />
          <TextInput
            name="comment"
            label={t.comment}
            defaultValue={silence?.comment}
            maxLength={1000}
            error={problemsAt(saving.error, "comment")}
          />
          <SaveError error={saving.error} />
          <Group>
            <Button type="submit" loading={saving.isPending}>
              {silence ? t.save : t.confirm}
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
