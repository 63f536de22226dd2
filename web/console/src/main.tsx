import "@mantine/core/styles.css";
import { MantineProvider } from "@mantine/core";
import { setNonce } from "get-nonce";
import { createRoot } from "react-dom/client";
import { RouterProvider } from "react-router/dom";
import { router } from "./routes";
import { SessionGate } from "./session/Session";
import { cssVariables, theme } from "./theme";

// The content security policy allows only style elements with the nonce of the page.
const nonce = document.querySelector<HTMLMetaElement>("meta[property=csp-nonce]")?.nonce;

// Dialogs stop the page from scrolling by a style element.
if (nonce) setNonce(nonce);

const openPage = (path: string) => router.navigate(path, { replace: true });

createRoot(document.getElementById("page")!).render(
  <MantineProvider
    theme={theme}
    cssVariablesResolver={cssVariables}
    defaultColorScheme="auto"
    getStyleNonce={() => nonce ?? ""}
  >
    <SessionGate onReturn={openPage}>
      <RouterProvider router={router} />
    </SessionGate>
  </MantineProvider>,
);
