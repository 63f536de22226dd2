// GraphiQL, signed in: the key stands in the headers editor, to be seen and edited.

import { useGraphiQL, useGraphiQLActions, useMonaco } from "@graphiql/react";
import { GraphiQL } from "graphiql";
import { type ReactNode, useEffect, useMemo } from "react";
import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import { examples } from "./examples";
import { fetcherWith } from "./fetcher";
import { memory } from "./memory";
import { Panes } from "./panes";

interface Props {
  secret: string;
  loading: ReactNode;
  onChangeKey(): void;
}

/** Gives the panes GraphiQL's own, which only components inside it can reach. */
function BindPanes({ panes }: { panes: Panes }) {
  const editor = useGraphiQL((state) => state.responseEditor);
  const { updateActiveTabValues } = useGraphiQLActions();
  useEffect(() => {
    panes.bind({
      write: (text) => editor?.setValue(text),
      remember: (response) => updateActiveTabValues({ response }),
    });
  }, [panes, editor, updateActiveTabValues]);
  return null;
}

export default function Workbench(props: Props) {
  const headers = useMemo(() => ({ Authorization: `Bearer ${props.secret}` }), [props.secret]);
  const panes = useMemo(() => new Panes(), []);
  const fetcher = useMemo(() => fetcherWith(headers, panes), [headers, panes]);
  useEffect(() => () => panes.closeAll(), [panes]);

  // A tab chosen before the editors are there would come up with the first tab's text in it.
  const ready = useMonaco((state) => Boolean(state.monaco));
  const { initialize } = useMonaco((state) => state.actions);
  useEffect(() => void initialize(), [initialize]);
  if (!ready) return props.loading;

  return (
    <GraphiQL
      fetcher={fetcher}
      onTabChange={panes.onTabChange}
      storage={memory}
      defaultTabs={examples}
      defaultHeaders={JSON.stringify(headers, null, 2)}
      // Folded away at first: screens are shared, and the key is no one else's.
      defaultEditorToolsVisibility={false}
      shouldPersistHeaders={false}
    >
      <GraphiQL.Logo>
        <BindPanes panes={panes} />
        <span>Tocsin</span>
        <button type="button" className="change-key" onClick={props.onChangeKey}>
          Change key
        </button>
      </GraphiQL.Logo>
    </GraphiQL>
  );
}
