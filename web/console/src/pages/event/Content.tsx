// The content of an event as Markdown. HTML in it is shown as text, and images are not loaded.

import { Anchor, Typography } from "@mantine/core";
import Markdown from "react-markdown";
import remarkGfm from "remark-gfm";

const PLUGINS = [remarkGfm];
const COMPONENTS = {
  // Headings of the content come below those of the page.
  h1: "h3",
  h2: "h4",
  h3: "h5",
  h4: "h6",
  h5: "h6",
} as const;

export default function Content({ text }: { text: string }) {
  return (
    <Typography>
      <Markdown
        remarkPlugins={PLUGINS}
        disallowedElements={["img", "input"]}
        components={{
          ...COMPONENTS,
          a: ({ href, children }) => (
            <Anchor href={href} target="_blank" rel="noopener noreferrer" fz="inherit" td="underline">
              {children}
            </Anchor>
          ),
        }}
      >
        {text}
      </Markdown>
    </Typography>
  );
}
