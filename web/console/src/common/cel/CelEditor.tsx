// The editor of expressions, which shows problems at their positions and completes names.

import {
  autocompletion,
  type CompletionSource,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { clike } from "@codemirror/legacy-modes/mode/clike";
import { type Diagnostic, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState, type Text } from "@codemirror/state";
import { EditorView, keymap, lineNumbers } from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";
import { Input, useComputedColorScheme } from "@mantine/core";
import { getNonce } from "get-nonce";
import { type ReactNode, useEffect, useId, useRef } from "react";
import { texts } from "../../texts";
import classes from "./CelEditor.module.css";

const t = texts.cel;

/** A problem of the expression. Line and column begin with 1; the column counts characters. */
export interface ExpressionProblem {
  message: string;
  line: number;
  column: number;
}

interface Props {
  label: string;
  hint?: ReactNode;
  value: string;
  onChange: (value: string) => void;
  completion: CompletionSource;
  problems: readonly ExpressionProblem[];
  isReadOnly?: boolean;
  /** Shows one line without its number until there are more. */
  isCompact?: boolean;
}

const cel = StreamLanguage.define(
  clike({
    name: "cel",
    keywords: { in: true },
    atoms: {
      ...{ true: true, false: true, null: true },
      ...{ event: true, old: true, now: true, body: true, headers: true },
    },
  }),
);

export function CelEditor({
  label,
  hint,
  value,
  onChange,
  completion,
  problems,
  isReadOnly = false,
  isCompact = false,
}: Props) {
  const labelId = useId();
  const problemsId = useId();
  const parent = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const scheme = useRef(new Compartment());
  const current = useRef({ onChange, completion });
  const isDark = useComputedColorScheme("light") === "dark";

  useEffect(() => void (current.current = { onChange, completion }), [onChange, completion]);

  useEffect(() => {
    const editor = new EditorView({
      parent: parent.current!,
      doc: value,
      extensions: [
        EditorView.cspNonce.of(getNonce() ?? ""),
        EditorView.contentAttributes.of({ "aria-labelledby": labelId, "aria-describedby": problemsId }),
        EditorState.readOnly.of(isReadOnly),
        EditorView.lineWrapping,
        isCompact ? [] : lineNumbers(),
        history(),
        bracketMatching(),
        closeBrackets(),
        cel,
        syntaxHighlighting(classHighlighter),
        autocompletion({ override: [(context) => current.current.completion(context)] }),
        keymap.of([
          ...closeBracketsKeymap,
          ...completionKeymap,
          ...lintKeymap,
          ...historyKeymap,
          ...defaultKeymap,
        ]),
        scheme.current.of(EditorView.theme({}, { dark: isDark })),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) current.current.onChange(update.state.doc.toString());
        }),
      ],
    });
    view.current = editor;
    return () => editor.destroy();
    // The editor keeps its state: later values are dispatched to it.
  }, [isReadOnly, isCompact]);

  useEffect(() => {
    view.current?.dispatch({
      effects: scheme.current.reconfigure(EditorView.theme({}, { dark: isDark })),
    });
  }, [isDark]);

  useEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);

  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const diagnostics = problems.map((problem) => locate(editor.state.doc, problem));
    editor.dispatch(setDiagnostics(editor.state, diagnostics));
  }, [problems]);

  return (
    <div>
      <Input.Label id={labelId} labelElement="div">
        {label}
      </Input.Label>
      {hint && <Input.Description component="div">{hint}</Input.Description>}
      <div
        ref={parent}
        className={classes.editor}
        data-invalid={problems.length > 0 || undefined}
        data-compact={isCompact || undefined}
      />
      <div id={problemsId} role="status">
        {problems.map(({ line, column, message }) => (
          <Input.Error key={`${line}:${column}:${message}`} component="div">
            {t.problem(line, column, message)}
          </Input.Error>
        ))}
      </div>
    </div>
  );
}

/** The word at the position of the problem, or the character before the end of the line. */
function locate(document: Text, { line, column, message }: ExpressionProblem): Diagnostic {
  const { from, text } = document.line(Math.min(Math.max(line, 1), document.lines));
  // Columns count characters; positions count UTF-16 code units.
  const offset = [...text].slice(0, column - 1).join("").length;
  const word = /^\.?\w+/.exec(text.slice(offset))?.[0].length ?? 1;
  const start = Math.min(from + offset, Math.max(from, from + text.length - 1));
  return {
    from: start,
    to: Math.min(start + word, from + text.length),
    severity: "error",
    message,
  };
}
