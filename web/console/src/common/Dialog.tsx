import { Modal } from "@mantine/core";
import { createContext, type ReactNode, useContext, useEffect, useState } from "react";
import { texts } from "../texts";

interface Props {
  isOpen: boolean;
  /** Omitted if the dialog cannot be closed. */
  onClose?: () => void;
  title: string;
  /** Whether it is shown above other dialogs. */
  isOnTop?: boolean;
  isWide?: boolean;
  children: ReactNode;
}

const TOP_LAYER = 1_000;

const SetHasPopover = createContext<(hasPopover: boolean) => void>(() => {});

/** Lets Escape close the popover of a dialog, and not the dialog. */
export function usePopoverOfDialog(isOpen: boolean): void {
  const setHasPopover = useContext(SetHasPopover);
  useEffect(() => {
    setHasPopover(isOpen);
    return () => setHasPopover(false);
  }, [setHasPopover, isOpen]);
}

/** A modal dialog. Its header is no landmark of the page. */
export function Dialog({ isOpen, onClose, title, isOnTop = false, isWide = false, children }: Props) {
  const [hasPopover, setHasPopover] = useState(false);
  return (
    <Modal
      opened={isOpen}
      onClose={onClose ?? (() => {})}
      withCloseButton={onClose !== undefined}
      closeOnEscape={!hasPopover}
      title={title}
      styles={{ title: { fontWeight: 700 } }}
      size={isWide ? "xl" : undefined}
      zIndex={isOnTop ? TOP_LAYER : undefined}
      closeButtonProps={{ "aria-label": texts.close }}
      attributes={{ header: { role: "presentation" } }}
    >
      <SetHasPopover value={setHasPopover}>{children}</SetHasPopover>
    </Modal>
  );
}
