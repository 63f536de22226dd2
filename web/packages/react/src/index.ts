export { type Bell, type BellNotification, type BellOptions, type NotificationSummary, useBell } from "./bell.js";
export { type LiveEvent, type LiveEvents, type LiveEventsOptions, useLiveEvents } from "./live-events.js";
export type { LiveState } from "./live-rows.js";
export type * from "./operations.js";
export { TocsinProvider, useTocsinClient } from "./provider.js";
export type { EventFragment } from "./requests.js";
export {
  type EventFormProps,
  type EventProblem,
  type EventResult,
  type EventTypeForm,
  type EventTypeFormOptions,
  type FieldValues,
  type OriginalEvent,
  toErrorSchema,
  useEventTypeForm,
  withoutNull,
} from "./event-type-form.js";
