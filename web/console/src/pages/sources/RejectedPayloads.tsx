// The payloads that a source has rejected, which can be tried again.

import { Button, Code, Group, Stack, Text, Title } from "@mantine/core";
import { useState } from "react";
import { useApiQuery } from "../../api/client";
import { RejectedPayloadsDocument } from "../../api/generated";
import { Time } from "../../common/time";
import { ErrorState, Loading } from "../../shell/states";
import { texts } from "../../texts";

const t = texts.sources;
const REFRESH_MS = 10_000;

interface Props {
  sourceId: string;
  /** Puts a payload into the playground. Null if the user may not use it. */
  onTry: ((body: string) => void) | null;
}

export function RejectedPayloads({ sourceId, onTry }: Props) {
  const { data, error, refetch } = useApiQuery(
    RejectedPayloadsDocument,
    { id: sourceId },
    { refetchMs: REFRESH_MS },
  );
  const [shown, setShown] = useState<string | null>(null);
  const payloads = data?.source?.rejected;

  return (
    <section aria-labelledby="rejected">
      <Stack gap="xs">
        <Title order={2} size="h4" id="rejected">
          {t.rejectedPayloads}
        </Title>
        {error && <ErrorState error={error} onRetry={() => void refetch()} />}
        {!data && !error && <Loading />}
        {payloads?.length === 0 && <Text>{t.noneRejected}</Text>}
        {payloads?.map(({ at, error: reason, body }, index) => {
          const isShown = shown === at;
          return (
            <Stack key={`${at} ${index}`} gap={4}>
              <Text size="sm" c="dimmed">
                <Time at={at} />
              </Text>
              <Text style={{ overflowWrap: "anywhere" }}>{reason}</Text>
              <Group gap="xs">
                <Button
                  size="xs"
                  variant="default"
                  aria-expanded={isShown}
                  onClick={() => setShown(isShown ? null : at)}
                >
                  {isShown ? t.hidePayload : t.showPayload}
                </Button>
                {onTry && (
                  <Button size="xs" variant="default" onClick={() => onTry(body)}>
                    {t.tryPayload}
                  </Button>
                )}
              </Group>
              {isShown && (
                <Code block tabIndex={0} role="group" aria-label={t.payload} style={{ overflow: "auto" }} mah="20rem">
                  {body}
                </Code>
              )}
            </Stack>
          );
        })}
      </Stack>
    </section>
  );
}
