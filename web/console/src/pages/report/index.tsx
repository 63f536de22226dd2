// Reporting an event: choose its type, then fill in the form of the type.

import { Anchor, Stack, Text, TextInput, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useSearchParams } from "react-router";
import { useApi } from "../../api/client";
import { ReportableTypesDocument } from "../../api/generated";
import { PagedList } from "../../common/PagedList";
import { Empty } from "../../shell/states";
import { texts } from "../../texts";
import classes from "./index.module.css";
import { FreeForm } from "./FreeForm";
import { ReportForm } from "./ReportForm";

const t = texts.report;
const SEARCH_MS = 300;

export default function Report() {
  const [params] = useSearchParams();
  const type = params.get("type");
  if (type) return <ReportForm key={type} type={type} />;
  return params.has("free-form") ? <FreeForm /> : <ChooseType />;
}

function ChooseType() {
  const { client } = useApi();
  const [text, setText] = useState("");
  const [search] = useDebouncedValue(text.trim(), SEARCH_MS);
  const query = useInfiniteQuery({
    queryKey: ["reportable types", { search }],
    queryFn: async ({ pageParam: after, signal }) =>
      (await client.request(ReportableTypesDocument, { search, after }, { signal })).eventTypes,
    initialPageParam: null as string | null,
    getNextPageParam: ({ pageInfo }) => (pageInfo.hasNextPage ? pageInfo.endCursor : null),
    placeholderData: (previous) => previous,
  });
  const types = query.data?.pages.flatMap(({ nodes }) => nodes);

  return (
    <Stack>
      <Title order={1} size="h2">
        {t.title}
      </Title>
      <TextInput
        type="search"
        label={t.search}
        value={text}
        onChange={({ currentTarget }) => setText(currentTarget.value)}
      />
      <PagedList
        pages={{ ...query, items: types }}
        empty={
          <Empty title={search ? t.noneFound : t.none}>
            <Text>{search ? t.noneFoundHint : t.noneHint}</Text>
          </Empty>
        }
      >
        {(items) => (
          <ul className={classes.types} aria-label={t.types}>
            {items.map(({ type, name, description, category }) => (
              <li key={type}>
                <Anchor component={Link} fw={600} to={`/report?${new URLSearchParams({ type })}`}>
                  {name}
                </Anchor>
                <Text size="sm" c="dimmed">
                  {category}, {type}
                </Text>
                {description && <Text size="sm">{description}</Text>}
              </li>
            ))}
          </ul>
        )}
      </PagedList>
      <div>
        <Anchor component={Link} fw={600} to="/report?free-form">
          {t.freeForm}
        </Anchor>
        <Text size="sm">{t.freeFormHint}</Text>
      </div>
    </Stack>
  );
}
