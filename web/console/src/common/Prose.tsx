import { Code } from "@mantine/core";

/** A text in which code is between backticks. Code is not wrapped. */
export function Prose({ text }: { text: string }) {
  return text.split("`").map((part, index) =>
    index % 2 === 0 ? (
      part
    ) : (
      <Code key={index} style={{ whiteSpace: "nowrap" }}>
        {part}
      </Code>
    ),
  );
}
