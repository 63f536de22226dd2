// Severities, each with a color and an icon, because color alone cannot be distinguished by everyone.

import {
  IconAlertTriangle,
  IconCircleCheck,
  IconExclamationCircle,
  IconInfoCircle,
} from "@tabler/icons-react";
import type { Severity } from "../api/generated";
import { texts } from "../texts";
import classes from "./severity.module.css";

/** From the most to the least severe. */
export const SEVERITIES: readonly Severity[] = ["ERROR", "WARN", "INFO", "SUCCESS"];

const ICONS = {
  ERROR: IconExclamationCircle,
  WARN: IconAlertTriangle,
  INFO: IconInfoCircle,
  SUCCESS: IconCircleCheck,
};

export const severityClass = (severity: Severity): string => classes[severity]!;

interface Props {
  severity: Severity;
  /** Shows the icon only; its name remains for screen readers. */
  isCompact?: boolean;
}

export function SeverityLabel({ severity, isCompact = false }: Props) {
  const Icon = ICONS[severity];
  const name = texts.severities[severity];
  return (
    <span className={`${classes.label} ${classes[severity]}`} title={isCompact ? name : undefined}>
      <Icon size={18} aria-hidden />
      <span className={isCompact ? classes.hidden : undefined}>{name}</span>
    </span>
  );
}
