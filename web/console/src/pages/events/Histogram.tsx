// Numbers of events over time, by severity, loaded again when the list changes. Dragging across the bars selects a time range.

import { Group, Text, VisuallyHidden } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { type PointerEvent, useEffect, useMemo, useRef, useState } from "react";
import { useApiQuery } from "../../api/client";
import { FirstEventDocument, HistogramDocument, type Severity } from "../../api/generated";
import { SEVERITIES, severityClass } from "../../common/severity";
import { formatAbsolute, useNow, useTimePreferences } from "../../common/time";
import { texts } from "../../texts";
import classes from "./Histogram.module.css";
import { filterOf, lengthOf, type View } from "./view";

const t = texts.events.histogram;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Lengths of time buckets: as durations of the API, and in milliseconds. */
const LENGTHS: [string, number][] = [
  ["PT1M", MINUTE],
  ["PT5M", 5 * MINUTE],
  ["PT15M", 15 * MINUTE],
  ["PT1H", HOUR],
  ["PT6H", 6 * HOUR],
  ["P1D", DAY],
  ["P1W", 7 * DAY],
  ["P1M", 30 * DAY],
  ["P1Y", 365 * DAY],
];
const MAX_BUCKETS = 60;
const HEIGHT = 80;

interface Bar {
  start: number;
  counts: Map<Severity, number>;
  total: number;
}

interface Props {
  view: View;
  /** Changes whenever the events of the view change. Null until they are loaded: the numbers take longer. */
  version: object | null;
  onRange: (from: string, to: string) => void;
}

export function Histogram({ view, version, onRange }: Props) {
  const now = useNow();
  const isEnabled = version !== null;
  useReloadAfterChanges(version);
  const first = useApiQuery(
    FirstEventDocument,
    { filter: filterOf(view, now) },
    { isEnabled: isEnabled && !view.from && !view.range },
  );
  const oldest = first.data?.events.nodes[0]?.occurredAt;
  const to = view.to ? Date.parse(view.to) : now;
  const from = view.from
    ? Date.parse(view.from)
    : view.range
      ? to - lengthOf(view.range)
      : oldest && Date.parse(oldest);
  return from !== undefined && from !== "" && from < to ? (
    <Chart view={view} from={from} to={to} isEnabled={isEnabled} onRange={onRange} />
  ) : (
    <div className={classes.figure} />
  );
}

/** Loads the numbers again after changes: at once, but at most once in `REFETCH_MS`. */
function useReloadAfterChanges(version: object | null): void {
  const queries = useQueryClient();
  const known = useRef(version);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const reloadedAt = useRef(-Infinity);
  useEffect(() => {
    const isFirst = known.current === null;
    const isSame = known.current === version;
    known.current = version;
    if (version === null || isFirst || isSame) return;
    const wait = reloadedAt.current + REFETCH_MS - performance.now();
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      reloadedAt.current = performance.now();
      void queries.invalidateQueries({ predicate: ({ queryKey }) => DOCUMENTS.has(queryKey[0]) });
    }, Math.max(0, wait));
  }, [queries, version]);
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      timer.current = undefined;
    },
    [],
  );
}

interface ChartProps extends Omit<Props, "version"> {
  from: number;
  to: number;
  isEnabled: boolean;
}

function Chart({ view, from, to, isEnabled, onRange }: ChartProps) {
  const [{ isUtc }] = useTimePreferences();
  const [every, length] =
    LENGTHS.find(([, milliseconds]) => (to - from) / milliseconds <= MAX_BUCKETS) ?? LENGTHS.at(-1)!;
  // Whole buckets, so that the numbers are loaded again only if a new bucket begins.
  const start = Math.floor(from / length) * length;
  const end = (Math.floor(to / length) + 1) * length;
  const range = { from: new Date(start).toISOString(), to: new Date(end).toISOString() };
  const { data } = useApiQuery(
    HistogramDocument,
    {
      filter: { ...filterOf(view, to), occurredAt: range },
      every,
      timeZone: isUtc ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone,
    },
    { isEnabled, keepsPrevious: true },
  );
  const bars = useMemo(() => {
    const byStart = new Map<number, Bar>();
    for (const { bucket, severity, count } of data?.eventCounts ?? []) {
      if (!bucket || !severity) continue;
      const at = Date.parse(bucket);
      const bar = byStart.get(at) ?? { start: at, counts: new Map(), total: 0 };
      bar.counts.set(severity, count);
      bar.total += count;
      byStart.set(at, bar);
    }
    return [...byStart.values()];
  }, [data]);
  const plot = useRef<SVGSVGElement>(null);
  const [drag, setDrag] = useState<[number, number] | null>(null);
  const highest = Math.max(1, ...bars.map(({ total }) => total));
  const width = end - start;
  const scale = (at: number) => ((at - start) / width) * 1000;

  function timeAt(event: PointerEvent): number {
    const box = plot.current!.getBoundingClientRect();
    const part = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return start + part * width;
  }

  function select(event: PointerEvent): void {
    if (!drag) return;
    const [low, high] = [drag[0], timeAt(event)].sort((a, b) => a - b) as [number, number];
    setDrag(null);
    // A click selects the bucket.
    const isClick = (high - low) / width < 0.005;
    const bar = bars.findLast((each) => each.start <= low);
    if (isClick && (!bar || low > bar.start + length)) return;
    const [begin, finish] = isClick ? [bar!.start, bar!.start + length] : [low, high];
    onRange(new Date(begin).toISOString(), new Date(finish).toISOString());
  }

  const total = bars.reduce((sum, bar) => sum + bar.total, 0);
  return (
    <figure className={classes.figure} aria-label={t.label}>
      <svg
        ref={plot}
        className={classes.plot}
        viewBox={`0 0 1000 ${HEIGHT}`}
        preserveAspectRatio="none"
        aria-hidden
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          const at = timeAt(event);
          setDrag([at, at]);
        }}
        onPointerMove={(event) => drag && setDrag([drag[0], timeAt(event)])}
        onPointerUp={select}
        onPointerCancel={() => setDrag(null)}
      >
        {bars.map((bar) => {
          let top = HEIGHT;
          return SEVERITIES.toReversed().map((severity) => {
            const height = ((bar.counts.get(severity) ?? 0) / highest) * (HEIGHT - 2);
            if (!height) return null;
            top -= height;
            return (
              <rect
                key={`${bar.start} ${severity}`}
                className={`${classes.bar} ${severityClass(severity)}`}
                x={scale(bar.start)}
                y={top}
                width={Math.max(1, (length / width) * 1000 - 1)}
                height={height}
              >
                <title>
                  {t.bar(formatAbsolute(new Date(bar.start), isUtc), texts.severities[severity], bar.counts.get(severity)!)}
                </title>
              </rect>
            );
          });
        })}
        {drag && (
          <rect
            className={classes.selection}
            x={scale(Math.min(...drag))}
            y={0}
            width={Math.abs(scale(drag[1]) - scale(drag[0]))}
            height={HEIGHT}
          />
        )}
      </svg>
      <Group justify="space-between" gap="0 0.625rem">
        <Text size="xs" c="dimmed">
          {formatAbsolute(new Date(start), isUtc)}
        </Text>
        <Text size="xs" c="dimmed" className={classes.total}>
          {data ? t.total(total) : texts.states.loading}
        </Text>
        <Text size="xs" c="dimmed">
          {formatAbsolute(new Date(end), isUtc)}
        </Text>
      </Group>
      <VisuallyHidden>
        <table>
          <caption>{t.label}</caption>
          <thead>
            <tr>
              <th>{t.from}</th>
              {SEVERITIES.map((severity) => (
                <th key={severity}>{texts.severities[severity]}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {bars.map((bar) => (
              <tr key={bar.start}>
                <td>{formatAbsolute(new Date(bar.start), isUtc)}</td>
                {SEVERITIES.map((severity) => (
                  <td key={severity}>{bar.counts.get(severity) ?? 0}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </VisuallyHidden>
    </figure>
  );
}

// To count all events of a view takes the server much longer than to deliver one of them.
const REFETCH_MS = 3_000;
const DOCUMENTS = new Set<unknown>([HistogramDocument, FirstEventDocument].map(String));
