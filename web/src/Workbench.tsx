// GraphiQL, signed in: the key stands in the headers editor, to be seen and edited.

import { useMonaco } from "@graphiql/react";
import { GraphiQL } from "graphiql";
import { type ReactNode, useEffect, useMemo } from "react";
import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import { examples } from "./examples";
import { fetcherWith } from "./fetcher";
import { memory } from "./memory";

interface Props {
  secret: string;
  loading: ReactNode;
  onChangeKey(): void;
}

export default function Workbench(props: Props) {
  const headers = useMemo(() => ({ Authorization: `Bearer ${props.secret}` }), [props.secret]);
  const fetcher = useMemo(() => fetcherWith(headers), [headers]);

  // A tab chosen before the editors are there would come up with the first tab's text in it.
  const ready = useMonaco((state) => Boolean(state.monaco));
  const { initialize } = useMonaco((state) => state.actions);
  useEffect(() => void initialize(), [initialize]);
  if (!ready) return props.loading;

  return (
    <GraphiQL
      fetcher={fetcher}
      storage={memory}
      defaultTabs={examples}
      defaultHeaders={JSON.stringify(headers, null, 2)}
      // Folded away at first: screens are shared, and the key is no one else's.
      defaultEditorToolsVisibility={false}
      shouldPersistHeaders={false}
    >
      <GraphiQL.Logo>
        <span>Tocsin</span>
        <button type="button" className="change-key" onClick={props.onChangeKey}>
          Change key
        </button>
      </GraphiQL.Logo>
    </GraphiQL>
  );
}
