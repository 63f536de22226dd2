// One guard rule: its draft, a trial over stored events, and its versions. Also a new rule.

import { Anchor, Badge, Button, Code, Group, NativeSelect, Stack, Text, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useMemo, useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { useApi, useApiQuery } from "../../api/client";
import {
  CheckExpressionDocument,
  CreateGuardRuleDocument,
  type GuardEnforcement,
  GuardRuleDocument,
  type GuardRuleQuery,
  PublishGuardRuleDocument,
  RetireGuardRuleDocument,
  RuleFieldsDocument,
  UpdateGuardRuleDocument,
} from "../../api/generated";
import { AuditLink } from "../../common/AuditLink";
import { CelEditor, type ExpressionProblem } from "../../common/cel/CelEditor";
import { createRuleCompletion } from "../../common/cel/completion";
import { Confirm } from "../../common/Confirm";
import { useDraft } from "../../common/draft";
import { SAVED, UnsavedChanges } from "../../common/UnsavedChanges";
import { checked, problemsAt } from "../../common/userErrors";
import { Empty, ErrorState, Loading, SaveError } from "../../shell/states";
import { texts } from "../../texts";
import { EventTypeChoice, TextField } from "./fields";
import { Trial } from "./Trial";
import { Versions } from "./Versions";

const t = texts.rules;
const CHECK_MS = 400;
const REFERENCE = "https://github.com/google/cel-spec/blob/master/doc/langdef.md";
const ENFORCEMENTS: GuardEnforcement[] = ["REJECT", "WARN"];
const NO_PROBLEMS: ExpressionProblem[] = [];

export type GuardRuleDetails = NonNullable<GuardRuleQuery["guardRule"]>;

export default function GuardRulePage() {
  const id = useParams()["id"]!;
  // A new form for each rule.
  return id === "new" ? <GuardRule key={id} rule={null} /> : <StoredRule key={id} id={id} />;
}

function StoredRule({ id }: { id: string }) {
  const { data, error, refetch } = useApiQuery(GuardRuleDocument, { id });
  if (error) return <ErrorState error={error} onRetry={() => void refetch()} />;
  if (!data) return <Loading />;
  return data.guardRule ? <GuardRule rule={data.guardRule} /> : <Empty title={t.notFound} isPage />;
}

/** The problems of an expression, as soon as its author stops typing. */
function useProblems(expression: string, eventTypeId: string | null): readonly ExpressionProblem[] {
  const { can } = useApi();
  const [text] = useDebouncedValue(expression, CHECK_MS);
  const { data } = useApiQuery(
    CheckExpressionDocument,
    { expression: text, eventTypeId },
    { isEnabled: can("RULE_MANAGE") && text.trim() !== "" },
  );
  return useMemo(() => {
    if (text !== expression) return NO_PROBLEMS;
    return (data?.tryGuardRule.userErrors ?? []).map((error) => ({
      line: 1,
      column: 1,
      ...error,
    }));
  }, [data, text, expression]);
}

const NEW = { name: "", expression: "", message: "", enforcement: "REJECT" as GuardEnforcement };

const pick = ({ name, expression, message, enforcement }: typeof NEW): typeof NEW => ({
  name,
  expression,
  message,
  enforcement,
});

function GuardRule({ rule }: { rule: GuardRuleDetails | null }) {
  const { client, can } = useApi();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const { draft, changes, isChanged, change, forget } = useDraft(rule ? pick(rule) : NEW);
  const [chosenType, setChosenType] = useState("");
  const [question, setQuestion] = useState<"publish" | "retire" | null>(null);
  const eventTypeId = rule ? (rule.eventType?.id ?? null) : chosenType || null;
  const fields = useApiQuery(RuleFieldsDocument, { id: eventTypeId ?? "" }, { isEnabled: eventTypeId !== null });
  const completion = useMemo(
    () => createRuleCompletion(fields.data?.eventType?.fields ?? []),
    [fields.data],
  );
  const problems = useProblems(draft.expression, eventTypeId);
  const isReadOnly = !can("RULE_MANAGE");
  const refresh = () => queries.invalidateQueries();

  /** Saves the draft. Returns the ID of the rule, and what was saved. */
  async function save() {
    if (!rule) {
      const input = { ...draft, eventTypeId };
      const payload = checked((await client.request(CreateGuardRuleDocument, { input })).createGuardRule);
      return { id: payload.guardRule!.id, saved: draft };
    }
    const input = { id: rule.id, ...changes };
    if (isChanged) checked((await client.request(UpdateGuardRuleDocument, { input })).updateGuardRule);
    return { id: rule.id, saved: changes };
  }

  const saving = useMutation({
    mutationFn: save,
    onSuccess: async ({ id, saved }) => {
      await refresh();
      forget(saved);
      if (!rule) await navigate(`/rules/guard/${id}`, { replace: true, state: SAVED });
    },
  });
  const publishing = useMutation({
    mutationFn: async () => {
      const { id, saved } = await save();
      checked((await client.request(PublishGuardRuleDocument, { id })).publishGuardRule);
      return saved;
    },
    onError: refresh,
    onSuccess: async (saved) => {
      await refresh();
      setQuestion(null);
      forget(saved);
    },
  });
  const retiring = useMutation<void, Error, void>({
    mutationFn: async () => {
      checked((await client.request(RetireGuardRuleDocument, { id: rule!.id })).retireGuardRule);
    },
    onSuccess: async () => {
      setQuestion(null);
      await refresh();
    },
  });

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    saving.mutate();
  }

  const canPublish = isChanged || rule?.state !== "PUBLISHED" || rule.hasUnpublishedChanges;
  return (
    <Stack>
      <UnsavedChanges exist={isChanged && !isReadOnly} />
      <Anchor component={Link} to="/rules" underline="always" size="sm">
        {t.back}
      </Anchor>
      <Group gap="xs">
        <Title order={1} size="h2" style={{ overflowWrap: "anywhere" }}>
          {rule?.name ?? t.newGuardRule}
        </Title>
        {rule && (
          <Badge variant="default" tt="none" size="lg">
            {rule.publishedVersion
              ? t.publishedVersion(rule.publishedVersion.number)
              : t.states[rule.state]}
          </Badge>
        )}
      </Group>
      {rule?.state === "PUBLISHED" && rule.hasUnpublishedChanges && <Text>{t.unpublishedHint}</Text>}
      {isReadOnly && <Text>{t.needsManage}</Text>}
      <form onSubmit={submit} aria-label={t.draft}>
        <Stack>
          {rule ? (
            <Text size="sm">{t.appliesTo(rule.eventType?.name ?? null)}</Text>
          ) : (
            <EventTypeChoice value={chosenType} onChange={setChosenType} />
          )}
          <TextField
            label={t.name}
            value={draft.name}
            onChange={(name) => change({ name })}
            error={problemsAt(saving.error, "name")}
            isReadOnly={isReadOnly}
          />
          <CelEditor
            label={t.expression}
            hint={
              <>
                {t.expressionHint} <Code>{t.expressionExample}</Code>. {t.expressionKeys}{" "}
                <Anchor href={REFERENCE} target="_blank" rel="noreferrer" underline="always" inherit>
                  {t.expressionReference}
                </Anchor>
              </>
            }
            value={draft.expression}
            onChange={(expression) => change({ expression })}
            completion={completion}
            problems={problems}
            isReadOnly={isReadOnly}
          />
          <TextField
            label={t.message}
            description={t.messageHint}
            value={draft.message}
            onChange={(message) => change({ message })}
            error={problemsAt(saving.error, "message")}
            isReadOnly={isReadOnly}
          />
          <NativeSelect
            label={t.enforcement}
            value={draft.enforcement}
            disabled={isReadOnly}
            onChange={({ currentTarget }) =>
              change({ enforcement: currentTarget.value as GuardEnforcement })
            }
            data={ENFORCEMENTS.map((value) => ({ value, label: t.enforcements[value] }))}
          />
          {!isReadOnly && (
            <>
              <Trial expression={draft.expression} eventTypeId={eventTypeId} />
              <SaveError error={saving.error} />
              <Group gap="xs">
                <Button type="submit" loading={saving.isPending} disabled={rule !== null && !isChanged}>
                  {t.saveDraft}
                </Button>
                {rule && (
                  <Button variant="default" disabled={!canPublish} onClick={() => setQuestion("publish")}>
                    {t.publish}
                  </Button>
                )}
                {rule?.state === "PUBLISHED" && (
                  <Button variant="default" onClick={() => setQuestion("retire")}>
                    {t.retire}
                  </Button>
                )}
              </Group>
            </>
          )}
        </Stack>
      </form>
      {rule && <Versions rule={rule} />}
      {rule && <AuditLink id={rule.id} />}
      <Confirm
        isOpen={question === "publish"}
        onClose={() => setQuestion(null)}
        title={t.publishTitle}
        action={t.publishNow}
        mutation={publishing}
      >
        <Text>{t.publishHint}</Text>
        <Trial expression={draft.expression} eventTypeId={eventTypeId} isAutomatic />
      </Confirm>
      <Confirm
        isOpen={question === "retire"}
        onClose={() => setQuestion(null)}
        title={t.retireTitle}
        action={t.retire}
        mutation={retiring}
      >
        {t.retireHint}
      </Confirm>
    </Stack>
  );
}
