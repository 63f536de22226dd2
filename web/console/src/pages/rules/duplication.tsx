// One duplication rule, or a new one.

import { Anchor, Button, Checkbox, Group, NativeSelect, NumberInput, Stack, Text, Title } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { useApi, useApiQuery } from "../../api/client";
import {
  CreateDuplicationRuleDocument,
  DeleteDuplicationRuleDocument,
  type DuplicateAction,
  DuplicationRuleDocument,
  type DuplicationRuleRowFragment,
  ResetDuplicationDocument,
  RuleFieldsDocument,
  UpdateDuplicationRuleDocument,
} from "../../api/generated";
import { AuditLink } from "../../common/AuditLink";
import { Confirm } from "../../common/Confirm";
import { useDraft } from "../../common/draft";
import { DURATION_UNITS, type DurationUnit, formatDuration, readDuration, writeDuration } from "../../common/duration";
import { Time } from "../../common/time";
import { SAVED, UnsavedChanges } from "../../common/UnsavedChanges";
import { checked, problemsAt } from "../../common/userErrors";
import { Empty, ErrorState, Loading, SaveError } from "../../shell/states";
import { texts } from "../../texts";
import { EventTypeChoice, TextField } from "./fields";
import { FingerprintBuilder } from "./FingerprintBuilder";

const t = texts.rules;
const ACTIONS: DuplicateAction[] = ["COUNT", "FLAG", "REJECT"];
const NEW = {
  name: "",
  fingerprint: ["type"],
  window: "PT15M",
  action: "COUNT" as DuplicateAction,
  escalate: true,
  enabled: true,
};
type Draft = typeof NEW;

export default function DuplicationRulePage() {
  const id = useParams()["id"]!;
  // A new form for each rule.
  return id === "new" ? <DuplicationRule key={id} rule={null} /> : <StoredRule key={id} id={id} />;
}

function StoredRule({ id }: { id: string }) {
  const { data, error, refetch } = useApiQuery(DuplicationRuleDocument, { id });
  if (error) return <ErrorState error={error} onRetry={() => void refetch()} />;
  if (!data) return <Loading />;
  return data.node?.__typename === "DuplicationRule" ? (
    <DuplicationRule rule={data.node} />
  ) : (
    <Empty title={t.notFound} isPage />
  );
}

const pick = ({ name, fingerprint, window, action, escalate, enabled }: Draft): Draft => ({
  name,
  fingerprint,
  window,
  action,
  escalate,
  enabled,
});

function DuplicationRule({ rule }: { rule: DuplicationRuleRowFragment | null }) {
  const { client, can } = useApi();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const { draft, changes, isChanged, change, forget } = useDraft(pick(rule ?? NEW));
  const [chosenType, setChosenType] = useState("");
  const [question, setQuestion] = useState<"reset" | "delete" | null>(null);
  const eventTypeId = rule ? (rule.eventType?.id ?? null) : chosenType || null;
  const fields = useApiQuery(RuleFieldsDocument, { id: eventTypeId ?? "" }, { isEnabled: eventTypeId !== null });
  const isReadOnly = !can("RULE_MANAGE");
  const clears =
    rule !== null && (draft.window !== rule.window || `${draft.fingerprint}` !== `${rule.fingerprint}`);
  const refresh = () => queries.invalidateQueries();

  const saving = useMutation({
    mutationFn: async () => {
      if (rule) {
        const variables = { input: { id: rule.id, ...changes } };
        checked((await client.request(UpdateDuplicationRuleDocument, variables)).updateDuplicationRule);
        return { id: rule.id, saved: changes };
      }
      const variables = { input: { ...draft, eventTypeId } };
      const payload = checked(
        (await client.request(CreateDuplicationRuleDocument, variables)).createDuplicationRule,
      );
      return { id: payload.duplicationRule!.id, saved: draft };
    },
    onSuccess: async ({ id, saved }) => {
      await refresh();
      forget(saved);
      if (!rule) await navigate(`/rules/duplication/${id}`, { replace: true, state: SAVED });
    },
  });
  const resetting = useMutation<void, Error, void>({
    mutationFn: async () => {
      checked((await client.request(ResetDuplicationDocument, { ruleId: rule!.id })).resetDuplication);
    },
    onSuccess: async () => {
      setQuestion(null);
      await refresh();
    },
  });
  const deleting = useMutation<void, Error, void>({
    mutationFn: async () => {
      checked((await client.request(DeleteDuplicationRuleDocument, { id: rule!.id })).deleteDuplicationRule);
    },
    onSuccess: async () => {
      await navigate("/rules", { state: SAVED });
      await refresh();
    },
  });

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    saving.mutate();
  }

  return (
    <Stack>
      <UnsavedChanges exist={isChanged && !isReadOnly} />
      <Anchor component={Link} to="/rules" underline="always" size="sm">
        {t.back}
      </Anchor>
      <Title order={1} size="h2" style={{ overflowWrap: "anywhere" }}>
        {rule?.name ?? t.newDuplicationRule}
      </Title>
      {rule && (
        <Text>
          {t.matchCount(rule.matchCount)}
          {rule.resetAt && (
            <>
              {" "}
              {t.resetAt} <Time at={rule.resetAt} />.
            </>
          )}
        </Text>
      )}
      {isReadOnly && <Text>{t.needsManage}</Text>}
      <form onSubmit={submit} aria-label={t.rule}>
        <Stack>
          {rule ? (
            <Text size="sm">{t.appliesTo(rule.eventType?.name ?? null)}</Text>
          ) : (
            <EventTypeChoice
              value={chosenType}
              onChange={(id) => {
                setChosenType(id);
                // Fields of another type are unknown to this one.
                change({ fingerprint: draft.fingerprint.filter((path) => !path.startsWith("fields.")) });
              }}
            />
          )}
          <TextField
            label={t.name}
            value={draft.name}
            onChange={(name) => change({ name })}
            error={problemsAt(saving.error, "name")}
            isReadOnly={isReadOnly}
          />
          <FingerprintBuilder
            value={draft.fingerprint}
            onChange={(fingerprint) => change({ fingerprint })}
            fields={fields.data?.eventType?.fields ?? []}
            error={problemsAt(saving.error, "fingerprint")}
            isReadOnly={isReadOnly}
          />
          <Window
            value={draft.window}
            onChange={(window) => change({ window })}
            error={problemsAt(saving.error, "window")}
            isReadOnly={isReadOnly}
          />
          <NativeSelect
            label={t.action}
            description={t.actionHints[draft.action]}
            value={draft.action}
            disabled={isReadOnly}
            onChange={({ currentTarget }) => change({ action: currentTarget.value as DuplicateAction })}
            data={ACTIONS.map((value) => ({ value, label: t.actions[value] }))}
          />
          {draft.action === "COUNT" && (
            <Checkbox
              label={t.escalate}
              checked={draft.escalate}
              disabled={isReadOnly}
              onChange={({ currentTarget }) => change({ escalate: currentTarget.checked })}
            />
          )}
          <Checkbox
            label={t.enabled}
            checked={draft.enabled}
            disabled={isReadOnly}
            onChange={({ currentTarget }) => change({ enabled: currentTarget.checked })}
          />
          <Text role="status" fw={600}>
            {draft.fingerprint.length > 0
              ? t.inWords(draft.fingerprint, formatDuration(draft.window))
              : t.noFingerprint}
          </Text>
          {clears && <Text>{t.clears}</Text>}
          <SaveError error={saving.error} />
          {!isReadOnly && (
            <Group gap="xs">
              <Button
                type="submit"
                loading={saving.isPending}
                disabled={draft.fingerprint.length === 0 || (rule !== null && !isChanged)}
              >
                {t.save}
              </Button>
              {rule && (
                <>
                  <Button variant="default" onClick={() => setQuestion("reset")}>
                    {t.reset}
                  </Button>
                  <Button variant="default" onClick={() => setQuestion("delete")}>
                    {t.delete}
                  </Button>
                </>
              )}
            </Group>
          )}
        </Stack>
      </form>
      {rule && <AuditLink id={rule.id} />}
      <Confirm
        isOpen={question === "reset"}
        onClose={() => setQuestion(null)}
        title={t.resetTitle}
        action={t.reset}
        mutation={resetting}
      >
        {t.resetHint}
      </Confirm>
      <Confirm
        isOpen={question === "delete"}
        onClose={() => setQuestion(null)}
        title={t.deleteTitle}
        action={t.delete}
        isDangerous
        mutation={deleting}
      >
        {t.deleteHint}
      </Confirm>
    </Stack>
  );
}

interface WindowProps {
  value: string;
  onChange: (value: string) => void;
  error: string | undefined;
  isReadOnly: boolean;
}

/** A duration as a number with a unit. */
function Window({ value, onChange, error, isReadOnly }: WindowProps) {
  const stored = readDuration(value);
  const [unit, setUnit] = useState(stored.unit);
  const number = (stored.value * DURATION_UNITS[stored.unit]) / DURATION_UNITS[unit];
  return (
    <Group align="end" gap="xs">
      <NumberInput
        label={t.window}
        description={t.windowHint}
        min={0}
        decimalScale={3}
        value={number}
        onChange={(next) => onChange(writeDuration(Number(next) || 0, unit))}
        error={error}
        readOnly={isReadOnly}
      />
      <NativeSelect
        aria-label={t.windowUnit}
        value={unit}
        disabled={isReadOnly}
        onChange={({ currentTarget }) => {
          const next = currentTarget.value as DurationUnit;
          setUnit(next);
          onChange(writeDuration(number, next));
        }}
        data={(Object.keys(DURATION_UNITS) as DurationUnit[]).map((each) => ({
          value: each,
          label: texts.durationUnits[each],
        }))}
      />
    </Group>
  );
}
