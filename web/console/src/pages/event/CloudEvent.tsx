import { Button, Code, CopyButton, Stack, Title } from "@mantine/core";
import { useState } from "react";
import { texts } from "../../texts";

const t = texts.event;

/** The event in CloudEvents format, shown on request. */
export function CloudEvent({ json }: { json: unknown }) {
  const [isShown, setIsShown] = useState(false);
  const text = JSON.stringify(json, null, 2);
  return (
    <section aria-labelledby="cloud-event">
      <Stack gap="xs" align="start">
        <Title order={2} size="h4" id="cloud-event">
          {t.cloudEvent}
        </Title>
        <Button variant="default" aria-expanded={isShown} onClick={() => setIsShown((now) => !now)}>
          {isShown ? t.hideJson : t.showJson}
        </Button>
        {isShown && (
          <>
            <Code block tabIndex={0} w="100%">
              {text}
            </Code>
            <CopyButton value={text}>
              {({ copied, copy }) => (
                <Button variant="default" onClick={copy}>
                  {copied ? t.copied : t.copyJson}
                </Button>
              )}
            </CopyButton>
          </>
        )}
      </Stack>
    </section>
  );
}
