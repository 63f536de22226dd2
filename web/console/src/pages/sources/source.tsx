// A source: its state, how systems send to it, its mapping, and what it has rejected. Also a new source.

import { Anchor, Button, Checkbox, Group, NativeSelect, Stack, Table, Text, TextInput, Title } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useMemo, useRef, useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { useApi, useApiQuery } from "../../api/client";
import {
  CreateSourceDocument,
  DeleteSourceDocument,
  RotateSourceTokenDocument,
  SourceDocument,
  type SourceKind,
  type SourceQuery,
  UpdateSourceDocument,
} from "../../api/generated";
import { AuditLink } from "../../common/AuditLink";
import { Confirm } from "../../common/Confirm";
import { Time } from "../../common/time";
import { SAVED, UnsavedChanges } from "../../common/UnsavedChanges";
import { checked, problemsAt } from "../../common/userErrors";
import { Empty, ErrorState, Loading, SaveError } from "../../shell/states";
import { texts } from "../../texts";
import { uriOf } from ".";
import { ATTRIBUTES, type Mapping, MappingEditor, toInput } from "./MappingEditor";
import { parseSample, Playground, useTrial } from "./Playground";
import { RejectedPayloads } from "./RejectedPayloads";
import { formatSample, KINDS, MAPPING_OF_SAMPLE } from "./senders";
import { SenderSetup, TokenDialog } from "./SenderSetup";

const t = texts.sources;
const REFRESH_MS = 10_000;

type SourceDetails = NonNullable<SourceQuery["source"]>;

export default function SourcePage() {
  const id = useParams().id!;
  return id === "new" ? <NewSource /> : <StoredSource key={id} id={id} />;
}

function NewSource() {
  const { can } = useApi();
  return (
    <Stack>
      <Back />
      <Title order={1} size="h2">
        {t.create}
      </Title>
      {can("EVENT_CREATE") ? <SourceForm source={null} /> : <Text>{t.needsCreate}</Text>}
    </Stack>
  );
}

const Back = () => (
  <Anchor component={Link} to="/event-sources" underline="always" size="sm">
    {t.back}
  </Anchor>
);

function StoredSource({ id }: { id: string }) {
  const { can } = useApi();
  const { data, error, refetch } = useApiQuery(SourceDocument, { id }, { refetchMs: REFRESH_MS });
  const [sample, setSample] = useState<string | null>(null);
  const form = useRef<HTMLDivElement>(null);
  const source = data?.source;

  if (!source) {
    if (error) return <ErrorState error={error} onRetry={() => void refetch()} />;
    if (!data) return <Loading />;
    return (
      <Empty title={t.notFound} isPage>
        <Back />
      </Empty>
    );
  }

  function tryPayload(body: string): void {
    setSample(body);
    form.current?.querySelector("textarea")?.focus();
  }

  const isReadOnly = !can("EVENT_CREATE");
  return (
    <Stack>
      <Back />
      <Title order={1} size="h2" style={{ overflowWrap: "anywhere" }}>
        {source.name}
      </Title>
      {error && <ErrorState error={error} onRetry={() => void refetch()} />}
      <Actions source={source} isReadOnly={isReadOnly} />
      <Attributes source={source} />
      {!isReadOnly && (
        <div ref={form}>
          <SourceForm source={source} sample={sample} onSample={setSample} />
        </div>
      )}
      <RejectedPayloads sourceId={id} onTry={isReadOnly ? null : tryPayload} />
      <section aria-labelledby="setup">
        <Stack gap="xs">
          <Title order={2} size="h4" id="setup">
            {t.setup}
          </Title>
          <SenderSetup kind={source.kind} url={source.url} token={null} />
        </Stack>
      </section>
      <AuditLink id={id} />
    </Stack>
  );
}

function Attributes({ source }: { source: SourceDetails }) {
  const { can } = useApi();
  const { id, kind, enabled, lastReceivedAt } = source;
  return (
    <Table>
      <Table.Tbody>
        {(
          [
            [t.kind, t.kinds[kind]],
            [t.state, enabled ? t.enabled : t.disabled],
            [t.lastReceived, lastReceivedAt ? <Time key="time" at={lastReceivedAt} /> : t.never],
            ...(can("EVENT_READ")
              ? [
                  [
                    t.events,
                    <Anchor
                      key="events"
                      component={Link}
                      to={`/events?${new URLSearchParams({ source: uriOf(id) })}`}
                      underline="always"
                      fz="inherit"
                    >
                      {t.showEvents}
                    </Anchor>,
                  ] as const,
                ]
              : []),
          ] as const
        ).map(([label, value]) => (
          <Table.Tr key={label}>
            <Table.Th scope="row" w="30%">
              {label}
            </Table.Th>
            <Table.Td style={{ overflowWrap: "anywhere" }}>{value}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

function Actions({ source, isReadOnly }: { source: SourceDetails; isReadOnly: boolean }) {
  const { client } = useApi();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [question, setQuestion] = useState<"rotate" | "delete" | null>(null);
  const { id, name, kind, url, enabled } = source;
  const switching = useMutation({
    mutationFn: async () =>
      checked((await client.request(UpdateSourceDocument, { input: { id, enabled: !enabled } })).updateSource),
    onSuccess: () => queries.invalidateQueries(),
  });
  const rotating = useMutation<string, Error, void>({
    mutationFn: async () => checked((await client.request(RotateSourceTokenDocument, { id })).rotateSourceToken).token!,
    onSuccess: () => setQuestion(null),
  });
  const deleting = useMutation<void, Error, void>({
    mutationFn: async () => {
      checked((await client.request(DeleteSourceDocument, { id })).deleteSource);
    },
    onSuccess: async () => {
      await navigate("/event-sources", { state: SAVED });
      await queries.invalidateQueries();
    },
  });

  return (
    <>
      {isReadOnly && <Text>{t.needsCreate}</Text>}
      <Group gap="xs">
        {!isReadOnly && (
          <>
            <Button variant="default" loading={switching.isPending} onClick={() => switching.mutate()}>
              {enabled ? t.disable : t.enable}
            </Button>
            <Button variant="default" onClick={() => setQuestion("rotate")}>
              {t.rotate}
            </Button>
          </>
        )}
        <Button variant="default" onClick={() => setQuestion("delete")}>
          {t.delete}
        </Button>
      </Group>
      {!enabled && <Text>{t.disabledHint}</Text>}
      <SaveError error={switching.error} />
      <Confirm
        isOpen={question === "rotate"}
        onClose={() => setQuestion(null)}
        title={t.rotate}
        action={t.rotate}
        mutation={rotating}
      >
        {t.rotateHint}
      </Confirm>
      <Confirm
        isOpen={question === "delete"}
        onClose={() => setQuestion(null)}
        title={t.deleteTitle(name)}
        action={t.delete}
        isDangerous
        mutation={deleting}
      >
        {t.deleteHint}
      </Confirm>
      {rotating.data && <TokenDialog kind={kind} url={url} token={rotating.data} onClose={rotating.reset} />}
    </>
  );
}

interface Draft {
  name: string;
  kind: SourceKind;
  /** Of a new source. Others are enabled and disabled at once. */
  enabled: boolean;
  mapping: Mapping;
}

/** The expressions that the source has. Those of the sample for a new source. */
function mappingOf(source: SourceDetails | null): Mapping {
  if (!source) return MAPPING_OF_SAMPLE;
  const mapped = ATTRIBUTES.map((attribute) => [attribute, source.mapping?.[attribute] ?? undefined] as const);
  return Object.fromEntries(mapped.filter(([, expression]) => expression !== undefined));
}

interface FormProps {
  /** The source to change, or null to create one. */
  source: SourceDetails | null;
  /** A sample that replaces that of the kind. */
  sample?: string | null;
  onSample?: (sample: string) => void;
}

function SourceForm({ source, sample = null, onSample }: FormProps) {
  const { client } = useApi();
  const queries = useQueryClient();
  const navigate = useNavigate();
  /** What the draft was made from, or last saved. The source itself may be changed by others meanwhile. */
  const [base, setBase] = useState<Draft>(() => ({
    name: source?.name ?? "",
    kind: source?.kind ?? "ALERTMANAGER",
    enabled: true,
    mapping: mappingOf(source),
  }));
  const [draft, setDraft] = useState(base);
  const [ownSample, setOwnSample] = useState<string | null>(null);
  const { name, kind, enabled, mapping } = draft;
  const isMapped = kind === "JSON";
  const text = sample ?? ownSample ?? formatSample(kind);
  const parsed = useMemo(() => parseSample(text), [text]);
  const trial = useTrial(kind, isMapped ? toInput(mapping) : null, parsed);
  const isRenamed = name !== base.name;
  const isRemapped = JSON.stringify(toInput(mapping)) !== JSON.stringify(toInput(base.mapping));
  const isChanged = isRenamed || isRemapped;
  const change = (changes: Partial<Draft>) => setDraft((now) => ({ ...now, ...changes }));

  const saving = useMutation({
    mutationFn: async (_draft: Draft) => {
      if (!source) {
        const input = { name, kind, enabled, mapping: isMapped ? toInput(mapping) : null };
        const { source: created, token } = checked((await client.request(CreateSourceDocument, { input })).createSource);
        return { ...created!, token: token! };
      }
      // Only what was changed: another user may have changed the rest meanwhile.
      const changes = { ...(isRenamed && { name }), ...(isRemapped && { mapping: toInput(mapping) }) };
      checked((await client.request(UpdateSourceDocument, { input: { id: source.id, ...changes } })).updateSource);
      return null;
    },
    onSuccess: (_created, saved) => {
      if (source) setBase(saved);
      return queries.invalidateQueries();
    },
  });

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    saving.mutate(draft);
  }

  const created = saving.data;
  return (
    <form onSubmit={submit} aria-label={t.form}>
      <UnsavedChanges exist={isChanged} />
      <Stack>
        <TextInput
          label={t.name}
          maw="30rem"
          value={name}
          onChange={({ currentTarget }) => change({ name: currentTarget.value })}
          error={problemsAt(saving.error, "name")}
          autoComplete="off"
          required
          withAsterisk={false}
        />
        {!source && (
          <NativeSelect
            label={t.kind}
            description={t.kindHint}
            maw="30rem"
            value={kind}
            onChange={({ currentTarget }) => change({ kind: currentTarget.value as SourceKind })}
            data={KINDS.map((value) => ({ value, label: t.kinds[value] }))}
          />
        )}
        <Playground sample={text} onSample={onSample ?? setOwnSample} parsed={parsed} trial={trial}>
          {isMapped && (
            <MappingEditor
              mapping={mapping}
              onChange={(next) => change({ mapping: next })}
              sample={parsed.value}
              problems={trial.expressionProblems}
            />
          )}
        </Playground>
        {!source && (
          <Checkbox
            label={t.enabledFromStart}
            description={t.enabledHint}
            checked={enabled}
            onChange={({ currentTarget }) => change({ enabled: currentTarget.checked })}
          />
        )}
        <SaveError error={saving.error} />
        <Group>
          <Button type="submit" loading={saving.isPending} disabled={source !== null && !isChanged}>
            {source ? t.save : t.confirm}
          </Button>
          {source && saving.isSuccess && !isChanged && <Text role="status">{t.saved}</Text>}
        </Group>
      </Stack>
      {created && (
        <TokenDialog
          kind={kind}
          url={created.url}
          token={created.token}
          sample={parsed.value}
          onClose={() => void navigate(`/event-sources/${created.id}`, { replace: true, state: SAVED })}
        />
      )}
    </form>
  );
}
