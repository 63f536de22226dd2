import { Fragment } from "react";

/** A name that is wrapped only after its dots and underscores. */
export function Name({ text }: { text: string }) {
  return text.split(/(?<=[._])/).map((part, index) => (
    <Fragment key={index}>
      {index > 0 && <wbr />}
      {part}
    </Fragment>
  ));
}
