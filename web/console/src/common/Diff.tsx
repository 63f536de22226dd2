import { diffLines } from "diff";
import { texts } from "../texts";
import classes from "./Diff.module.css";

/** Lines that differ between two texts, marked with + and -. */
export function Diff({ before, after, label }: { before: string; after: string; label: string }) {
  const lines = diffLines(before && `${before}\n`, `${after}\n`).flatMap(({ value, added, removed }) =>
    value
      .replace(/\n$/, "")
      .split("\n")
      .map((text) => ({ text, sign: added ? "+" : removed ? "-" : " " })),
  );
  return (
    <pre className={classes.diff} tabIndex={0} role="group" aria-label={label}>
      {lines.map(({ text, sign }, index) => (
        <div key={index} data-sign={sign} title={sign === " " ? undefined : texts.diff[sign as "+" | "-"]}>
          {sign} {text}
        </div>
      ))}
    </pre>
  );
}
