import Form from "@rjsf/core";
import validator from "@rjsf/validator-ajv8";
import { TocsinProvider, useBell, useEventTypeForm, useLiveEvents } from "@tocsin/react";
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { client, useDetail, useFilter, useInfiniteScroll } from "./logic";

function Bell({ onOpen }: { onOpen: (id: string) => void }) {
  const { summary, notifications, hasNextPage, loadMore, acknowledge, acknowledgeUpTo, markRead, error, reload } =
    useBell({ filter: { statuses: ["OPEN"] } });
  return (
    <section aria-label="Notifications">
      <h2>
        {summary?.unreadCount ?? "…"} unread, {summary?.openCount ?? "…"} open
      </h2>
      {error && (
        <p role="alert">
          {error.message} <button onClick={reload}>Try again</button>
        </p>
      )}
      <button onClick={() => void markRead()}>Mark all as read</button>
      <button onClick={() => void acknowledgeUpTo()}>Acknowledge all</button>
      <ul>
        {notifications.map(({ event, read }) => (
          <li key={event.id} data-read={read}>
            <button onClick={() => onOpen(event.id)}>{event.summary}</button>
            <button onClick={() => void acknowledge(event.id)}>Acknowledge</button>
          </li>
        ))}
      </ul>
      {hasNextPage && <button onClick={loadMore}>More</button>}
    </section>
  );
}

function Events({ onOpen }: { onOpen: (id: string) => void }) {
  const { severity, setSeverity, search, setSearch, filter } = useFilter();
  const { events, newCount, hasMoreNew, showNew, hasNextPage, loadMore, offlineSince, error, reload } =
    useLiveEvents(filter);
  const end = useInfiniteScroll(events.length, loadMore);
  return (
    <section aria-label="Events">
      <select
        aria-label="Severity"
        value={severity}
        onChange={({ target }) => setSeverity(target.value as typeof severity)}
      >
        <option value="">All severities</option>
        {(["ERROR", "WARN", "INFO", "SUCCESS"] as const).map((each) => (
          <option key={each}>{each}</option>
        ))}
      </select>
      <input aria-label="Search" value={search} onChange={({ target }) => setSearch(target.value)} />
      {error && (
        <p role="alert">
          {error.message} <button onClick={reload}>Try again</button>
        </p>
      )}
      {offlineSince && <p role="status">Offline since {offlineSince.toLocaleTimeString()}</p>}
      {newCount > 0 && (
        <button onClick={showNew}>
          {newCount}
          {hasMoreNew && "+"} new events
        </button>
      )}
      <ol>
        {events.map((event) => (
          <li key={event.id} data-id={event.id}>
            <button onClick={() => onOpen(event.id)}>{event.summary}</button> {event.severity}
            {event.acknowledged && " acknowledged"}
          </li>
        ))}
      </ol>
      <div ref={end}>{hasNextPage ? "Loading…" : "No more events"}</div>
    </section>
  );
}

function Detail({ id }: { id: string }) {
  const { event, isLoading, history } = useDetail(id);
  return (
    <section aria-label="Event">
      <h2>{event ? event.summary : isLoading ? "Loading…" : "The event was deleted"}</h2>
      <ul>
        {history.map(({ cursor, at, kind, actor }) => (
          <li key={cursor}>
            {kind} by {actor} at {new Date(at).toLocaleString()}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Report({ type }: { type: string }) {
  const { eventType, formProps, problems, result, error } = useEventTypeForm(type);
  return (
    <section aria-label="Report">
      <h2>{eventType?.name ?? type}</h2>
      {eventType && <Form {...formProps} validator={validator} />}
      {problems.map(({ message }) => (
        <p role="alert" key={message}>
          {message}
        </p>
      ))}
      {error && <p role="alert">{error.message}</p>}
      {result && <p role="status">Logged</p>}
    </section>
  );
}

function App() {
  const [id, setId] = useState<string | null>(null);
  const [type, setType] = useState("");
  return (
    <>
      <Bell onOpen={setId} />
      {id && <Detail id={id} />}
      <label>
        Event type <input value={type} onChange={({ target }) => setType(target.value)} />
      </label>
      {type && <Report key={type} type={type} />}
      <Events onOpen={setId} />
    </>
  );
}

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <TocsinProvider client={client}>
      <App />
    </TocsinProvider>
  </StrictMode>,
);
