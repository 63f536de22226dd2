// A menu of a notification that silences others like it: the narrowest choice first, all of its source last.

import { ActionIcon, Menu } from "@mantine/core";
import { IconBellZ } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import type { LiveEvent } from "@tocsin/react";
import { useApi } from "../api/client";
import { CreateSilenceDocument, type EventFilter } from "../api/generated";
import { checked } from "../common/userErrors";
import { texts } from "../texts";

const t = texts.bell.snooze;
const HOUR_MS = 3_600_000;
const MORNING = 8;
/** Fits the narrowest phones. Longer entries are wrapped. */
const MENU_WIDTH = 300;

/** Ends of a silence, which starts now. */
const ENDS = {
  hour: () => new Date(Date.now() + HOUR_MS),
  tomorrow: () => {
    const end = new Date();
    end.setDate(end.getDate() + 1);
    end.setHours(MORNING, 0, 0, 0);
    return end;
  },
};

interface Props {
  event: LiveEvent;
  onSilenced: (silence: { id: string; scope: string }) => void;
  onError: (error: Error) => void;
}

export function Snooze({ event, onSilenced, onError }: Props) {
  const { client } = useApi();
  const { type, entity, source, summary } = event;
  const scopes: [string, EventFilter][] = [];
  if (entity) {
    const ofEntity = { entity: { type: entity.type, id: entity.entityId } };
    scopes.push([t.typeOfEntity(type, entity.entityId), { types: [type], ...ofEntity }]);
    scopes.push([t.entity(entity.entityId), ofEntity]);
  } else {
    scopes.push([t.type(type), { types: [type] }]);
  }
  scopes.push([t.source(source), { source }]);
  const silencing = useMutation<
    { id: string; scope: string },
    Error,
    { scope: string; filter: EventFilter; endsAt: Date }
  >({
    mutationFn: async ({ scope, filter, endsAt }) => {
      const input = { filter, endsAt: endsAt.toISOString(), comment: t.comment(summary) };
      const created = checked((await client.request(CreateSilenceDocument, { input })).createSilence);
      return { id: created.silence!.id, scope };
    },
    onSuccess: onSilenced,
    onError,
  });
  return (
    <Menu
      position="bottom-end"
      width={MENU_WIDTH}
      styles={{ itemLabel: { overflowWrap: "anywhere" } }}
      // The menu is a part of the dialog, and has nothing but items.
      withinPortal={false}
      withInitialFocusPlaceholder={false}
    >
      <Menu.Target>
        <ActionIcon variant="default" aria-label={t.label(summary)} title={t.label(summary)} loading={silencing.isPending}>
          <IconBellZ size={16} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {scopes.flatMap(([scope, filter]) =>
          (Object.keys(ENDS) as (keyof typeof ENDS)[]).map((end) => (
            <Menu.Item
              key={`${scope} ${end}`}
              onClick={() => silencing.mutate({ scope, filter, endsAt: ENDS[end]() })}
            >
              {t.action(scope, t.ends[end])}
            </Menu.Item>
          )),
        )}
      </Menu.Dropdown>
    </Menu>
  );
}
