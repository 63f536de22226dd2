// The form that a reporter of an event of the type will see. Its conditions work.

import { Stack, Text, Title } from "@mantine/core";
import type { RJSFSchema } from "@rjsf/utils";
import { useState } from "react";
import { EventForm } from "../../common/EventForm";
import { texts } from "../../texts";
import classes from "./Fields.module.css";

const t = texts.eventTypes;
const NO_ERRORS = {};

export function Preview({ schema, uiSchema }: { schema: RJSFSchema; uiSchema: Record<string, unknown> }) {
  const [values, setValues] = useState<Record<string, unknown>>({});
  return (
    <section aria-labelledby="preview" className={classes.item}>
      <Stack gap="xs">
        <Title order={2} size="h4" id="preview">
          {t.preview}
        </Title>
        <EventForm
          schema={schema}
          uiSchema={uiSchema}
          formData={values}
          extraErrors={NO_ERRORS}
          disabled={false}
          onChange={({ formData }) => setValues(formData ?? {})}
        >
          <Text size="sm" c="dimmed">
            {t.previewHint}
          </Text>
        </EventForm>
      </Stack>
    </section>
  );
}
