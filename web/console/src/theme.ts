// Colors with the contrast that WCAG AA demands, in both color schemes.

import { createTheme, type CSSVariablesResolver, Text } from "@mantine/core";

export const theme = createTheme({
  primaryColor: "indigo",
  primaryShade: { light: 8, dark: 8 },
  fontFamily: "system-ui, sans-serif",
  cursorType: "pointer",
  respectReducedMotion: true,
  // The size of the texts of tables and form fields.
  components: { Text: Text.extend({ defaultProps: { size: "sm" } }) },
});

export const cssVariables: CSSVariablesResolver = (theme) => ({
  variables: {},
  light: {
    "--mantine-color-dimmed": theme.colors.gray[7],
    "--mantine-color-placeholder": theme.colors.gray[7],
    "--mantine-color-error": theme.colors.red[9],
    "--mantine-color-anchor": theme.colors.indigo[8],
  },
  dark: {
    "--mantine-color-dimmed": theme.colors.dark[1],
    "--mantine-color-placeholder": theme.colors.dark[1],
    "--mantine-color-error": theme.colors.red[4],
    "--mantine-color-anchor": theme.colors.indigo[3],
  },
});
