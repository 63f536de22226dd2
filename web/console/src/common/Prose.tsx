import { Code } from "@mantine/core";

/** Shows what is between backticks as code, which is not wrapped. */
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
