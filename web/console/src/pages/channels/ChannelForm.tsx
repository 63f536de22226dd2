// The dialogs that create a channel, whose secret is shown once, and that change one.

import { Button, Checkbox, Group, Input, NativeSelect, Stack, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useApi } from "../../api/client";
import {
  type ChannelKind,
  type ChannelRowFragment,
  type ChannelTrigger,
  CreateChannelDocument,
  type EventFilter,
  UpdateChannelDocument,
} from "../../api/generated";
import { Conditions } from "../../common/Conditions";
import { Dialog } from "../../common/Dialog";
import { changesOf } from "../../common/draft";
import { Secret } from "../../common/Secret";
import { checked, problemsAt } from "../../common/userErrors";
import { SaveError } from "../../shell/states";
import { texts } from "../../texts";
import { FilterEditor } from "../events/FilterEditor";
import { ALL, filterOf, type View, viewOf } from "../events/view";

const t = texts.channels;
const KINDS = ["WEBHOOK", "APPRISE"] as const;
const TRIGGERS = ["NOTIFICATION_ADDED", "EVENT_RESOLVED", "EVENT_CHANGED"] as const;

interface Props {
  /** The channel to change, or null to create one. */
  channel: ChannelRowFragment | null;
  /** Why channels of the kind APPRISE cannot be created. */
  appriseProblem?: string | null;
  onClose: () => void;
}

export function ChannelForm({ channel, appriseProblem, onClose }: Props) {
  // Another user may change the channel while the dialog is open: only what differs from this is sent.
  const [opened] = useState(channel);
  const { client } = useApi();
  const queries = useQueryClient();
  const [triggers, setTriggers] = useState<ChannelTrigger[]>(
    channel?.triggers ?? ["NOTIFICATION_ADDED", "EVENT_RESOLVED"],
  );
  const [initialView] = useState(() => (channel?.filter ? viewOf(channel.filter as EventFilter) : ALL));
  /** Null while the filter of the channel has other conditions than those of the editor. */
  const [view, setView] = useState<View | null>(initialView);
  const [kind, setKind] = useState<ChannelKind>(channel?.kind ?? "WEBHOOK");
  const saving = useMutation<string | null, Error, FormData>({
    mutationFn: async (form) => {
      const text = (name: string) => String(form.get(name) ?? "").trim();
      const name = text("name");
      const header = text("headerName") ? { headers: { [text("headerName")]: text("headerValue") } } : {};
      const conditions = filterOf(view ?? ALL, Date.now());
      const filter = Object.keys(conditions).length > 0 ? conditions : null;
      if (channel) {
        const url = text("url") ? { url: text("url") } : {};
        const changedFilter = view === initialView ? {} : { filter };
        const changes = changesOf({ name: opened!.name, triggers: opened!.triggers }, { name, triggers });
        const input = { id: channel.id, ...changes, ...url, ...header, ...changedFilter };
        checked((await client.request(UpdateChannelDocument, { input })).updateChannel);
        return null;
      }
      const input = { name, kind, url: text("url"), triggers, filter, ...header };
      return checked((await client.request(CreateChannelDocument, { input })).createChannel).secret ?? null;
    },
    onSuccess: async (secret) => {
      await queries.invalidateQueries();
      if (secret === null) onClose();
    },
  });

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    saving.mutate(new FormData(event.currentTarget));
  }

  return (
    <Dialog isOpen onClose={onClose} title={channel ? t.changeTitle(channel.name) : t.create}>
      {saving.data ? (
        <Secret
          secret={saving.data}
          label={t.secret}
          hint={t.secretHint}
          copyLabel={t.copySecret}
          onClose={onClose}
        />
      ) : (
        <form onSubmit={submit}>
          <Stack>
            <TextInput
              name="name"
              label={t.name}
              defaultValue={channel?.name}
              error={problemsAt(saving.error, "name")}
              autoComplete="off"
              required
              withAsterisk={false}
              data-autofocus
            />
            {!channel && (
              <NativeSelect
                label={t.kind}
                description={appriseProblem && `${t.onlyWebhooks} ${appriseProblem}`}
                value={kind}
                onChange={(event) => setKind(event.currentTarget.value as ChannelKind)}
                data={KINDS.map((value) => ({
                  value,
                  label: t.kinds[value],
                  disabled: value === "APPRISE" && Boolean(appriseProblem),
                }))}
              />
            )}
            <TextInput
              name="url"
              label={t.url}
              description={channel ? t.newUrlHint(channel.url) : t.urlHints[kind]}
              error={problemsAt(saving.error, "url")}
              autoComplete="off"
              required={!channel}
              withAsterisk={false}
            />
            {kind === "WEBHOOK" && (
              <Group align="start" grow>
                <TextInput
                  name="headerName"
                  label={t.headerName}
                  description={t.headerHint}
                  error={problemsAt(saving.error, "headers")}
                  autoComplete="off"
                />
                <TextInput
                  name="headerValue"
                  label={t.headerValue}
                  description={t.headerValueHint}
                  autoComplete="off"
                />
              </Group>
            )}
            <Checkbox.Group
              label={t.triggers}
              value={triggers}
              error={problemsAt(saving.error, "triggers")}
              onChange={(chosen) => setTriggers(chosen as ChannelTrigger[])}
            >
              <Stack gap={4} mt={4}>
                {TRIGGERS.map((trigger) => (
                  <Checkbox key={trigger} value={trigger} label={t.triggerNames[trigger]} />
                ))}
              </Stack>
            </Checkbox.Group>
            {view ? (
              <FilterEditor
                view={view}
                onChange={setView}
                hint={t.filterHint}
                error={problemsAt(saving.error, "filter")}
              />
            ) : (
              <Input.Wrapper label={t.filter} labelElement="div">
                <Stack gap="xs" mt={4} align="start">
                  <Conditions filter={channel!.filter} />
                  <Button variant="default" onClick={() => setView(ALL)}>
                    {t.replaceConditions}
                  </Button>
                </Stack>
              </Input.Wrapper>
            )}
            <SaveError error={saving.error} />
            <Group>
              <Button type="submit" loading={saving.isPending} disabled={triggers.length === 0}>
                {channel ? t.save : t.confirm}
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Dialog>
  );
}
