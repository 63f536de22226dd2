// GraphiQL with a valid key. The headers editor shows the key and can change it for a tab.

import { useGraphiQL, useGraphiQLActions, useMonaco } from "@graphiql/react";
import { GraphiQL } from "graphiql";
import { type ReactNode, useEffect, useMemo, useRef } from "react";
import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import { examples } from "./examples";
import { createFetcher, INTROSPECTION } from "./fetcher";
import { memory } from "./memory";
import { Panes } from "./panes";
import { authorization } from "../shared/server";
import { watchUnread } from "./unread";
import "./workbench.css";

interface Props {
  secret: string;
  loading: ReactNode;
  onChangeKey(): void;
  onRejected(): void;
}

/** Gives the panes access to GraphiQL's editor, which only components inside GraphiQL have. */
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

/** Scrolls the strip of tabs to the active one: many tabs are wider than the page. */
function ShowActiveTab() {
  const id = useGraphiQL((state) => state.tabs[state.activeTabIndex]?.id);
  const title = useGraphiQL((state) => state.tabs[state.activeTabIndex]?.title);
  useEffect(() => {
    document
      .querySelector(".graphiql-tab-active")
      ?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [id, title]);
  return null;
}

export default function Workbench(props: Props) {
  const headers = useMemo(() => authorization(props.secret), [props.secret]);
  const panes = useMemo(() => new Panes(), []);
  const onRejected = useRef(props.onRejected);
  useEffect(() => void (onRejected.current = props.onRejected), [props.onRejected]);
  const fetcher = useMemo(
    () => createFetcher(headers, panes, () => onRejected.current()),
    [headers, panes],
  );
  useEffect(() => () => panes.closeAll(), [panes]);
  useEffect(() => watchUnread(headers), [headers]);

  // If a tab is chosen before the editors exist, they open with the text of the first tab.
  const ready = useMonaco((state) => Boolean(state.monaco));
  const { initialize } = useMonaco((state) => state.actions);
  useEffect(() => void initialize(), [initialize]);
  if (!ready) return props.loading;

  return (
    <GraphiQL
      fetcher={fetcher}
      introspectionQueryName={INTROSPECTION}
      schemaDescription
      onTabChange={panes.onTabChange}
      storage={memory}
      defaultTabs={examples}
      defaultHeaders={JSON.stringify(headers, null, 2)}
      // Hidden at first, because screens are shared and the key is secret.
      defaultEditorToolsVisibility={false}
      shouldPersistHeaders={false}
    >
      <GraphiQL.Logo>
        <BindPanes panes={panes} />
        <ShowActiveTab />
        <span>Tocsin</span>
        <button type="button" className="change-key" onClick={props.onChangeKey}>
          Change key
        </button>
      </GraphiQL.Logo>
    </GraphiQL>
  );
}
