import { Modal } from "@mantine/core";
import type { ReactNode } from "react";
import { texts } from "../texts";

interface Props {
  isOpen: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
}

/** A modal dialog. Its header is no landmark of the page. */
export function Dialog({ isOpen, onClose, title, children }: Props) {
  return (
    <Modal
      opened={isOpen}
      onClose={onClose}
      title={title}
      closeButtonProps={{ "aria-label": texts.close }}
      attributes={{ header: { role: "presentation" } }}
    >
      {children}
    </Modal>
  );
}
