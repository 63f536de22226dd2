import { Modal } from "@mantine/core";
import type { ReactNode } from "react";
import { texts } from "../texts";

interface Props {
  isOpen: boolean;
  /** Omitted if the dialog cannot be closed. */
  onClose?: () => void;
  title: string;
  /** Whether it is shown above other dialogs. */
  isOnTop?: boolean;
  children: ReactNode;
}

const TOP_LAYER = 1_000;

/** A modal dialog. Its header is no landmark of the page. */
export function Dialog({ isOpen, onClose, title, isOnTop = false, children }: Props) {
  return (
    <Modal
      opened={isOpen}
      onClose={onClose ?? (() => {})}
      withCloseButton={onClose !== undefined}
      title={title}
      zIndex={isOnTop ? TOP_LAYER : undefined}
      closeButtonProps={{ "aria-label": texts.close }}
      attributes={{ header: { role: "presentation" } }}
    >
      {children}
    </Modal>
  );
}
