export {
  createTocsinClient,
  type ConnectionStatus,
  type RequestOptions,
  type SubscribeOptions,
  type TocsinClient,
  type TocsinClientOptions,
  type TocsinSubscription,
} from "./client.js";
export { type Document, printDocument } from "./document.js";
export { type OperationError, TocsinError } from "./errors.js";
