// The correlated events as a graph: arrows lead from causes to effects. The list beside it has the
// same links for readers who do not use the graph.

import "@xyflow/react/dist/style.css";
import { graphlib, layout } from "@dagrejs/dagre";
import { Button, Group, Text, useComputedColorScheme } from "@mantine/core";
import { IconUnlink } from "@tabler/icons-react";
import { Controls, type Edge, Handle, MarkerType, type Node, type NodeProps, Position, ReactFlow } from "@xyflow/react";
import { useEffect, useMemo, useState } from "react";
import { Link } from "react-router";
import { useApiQuery } from "../../api/client";
import { CorrelationGraphDocument, type GraphEventFragment } from "../../api/generated";
import { SeverityLabel } from "../../common/severity";
import { ErrorState, Loading } from "../../shell/states";
import { texts } from "../../texts";
import classes from "./Graph.module.css";

const t = texts.event;
const WIDTH = 200;
const HEIGHT = 64;

type EventNode = Node<{ event: GraphEventFragment; isCurrent: boolean; canLink: boolean }, "event">;
type Change = ((from: string, to: string) => void) | null;

interface Props {
  id: string;
  depth: number;
  /** Links a cause to an effect. Null without the permission. */
  onAdd: Change;
  onRemove: Change;
}

export default function Graph({ id, depth, onAdd, onRemove }: Props) {
  const scheme = useComputedColorScheme("light");
  const { data, error, refetch } = useApiQuery(CorrelationGraphDocument, { id, depth }, { keepsPrevious: true });
  const root = data?.event;
  const canLink = onAdd !== null;
  const { nodes, edges } = useMemo(() => {
    const events = root ? [root, ...root.correlations.nodes.map(({ event }) => event)] : [];
    const edges = edgesBetween(events);
    return { nodes: place(events, edges, id, canLink), edges };
  }, [root, id, canLink]);
  const [selected, setSelected] = useState<string | null>(null);
  useEffect(() => setSelected(null), [edges]);
  const edge = edges.find((each) => each.id === selected);
  const nameOf = (event: string) => nodes.find((node) => node.id === event)?.data.event.summary ?? "";

  if (error) return <ErrorState error={error} onRetry={() => void refetch()} />;
  if (!root) return <Loading />;
  const { totalCount } = root.correlations;
  return (
    <figure className={classes.figure} aria-label={t.graph}>
      <div className={classes.graph}>
        <ReactFlow
          key={nodes.map((node) => node.id).join()}
          nodes={nodes}
          edges={edges.map((each) => ({ ...each, selected: each.id === selected }))}
          nodeTypes={NODE_TYPES}
          colorMode={scheme}
          fitView
          minZoom={0.2}
          nodesDraggable={false}
          nodesConnectable={onAdd !== null}
          nodesFocusable={false}
          edgesFocusable={onRemove !== null}
          deleteKeyCode={null}
          ariaLabelConfig={t.graphControls}
          onConnect={({ source, target }) => onAdd?.(source, target)}
          onEdgesChange={(changes) => {
            for (const change of changes) {
              if (change.type === "select") setSelected(change.selected ? change.id : null);
            }
          }}
        >
          <Controls showInteractive={false} />
        </ReactFlow>
      </div>
      <Group gap="xs" component="figcaption">
        <Text size="sm" c="dimmed">
          {onAdd ? t.graphHint : t.graphReadHint}
          {totalCount > nodes.length - 1 && ` ${t.graphLimit(nodes.length - 1, totalCount)}`}
        </Text>
        {edge && onRemove && (
          <Button
            size="xs"
            variant="default"
            leftSection={<IconUnlink size={16} />}
            onClick={() => onRemove(edge.source, edge.target)}
          >
            {t.removeLink(nameOf(edge.source), nameOf(edge.target))}
          </Button>
        )}
      </Group>
    </figure>
  );
}

/** Returns one edge for each link between the events, from the cause to the effect. */
function edgesBetween(events: readonly GraphEventFragment[]): Edge[] {
  const summaries = new Map(events.map(({ id, summary }) => [id, summary]));
  const edges = new Map<string, Edge>();
  for (const { id, links } of events) {
    for (const { relation, event } of links.nodes) {
      if (!summaries.has(event.id)) continue;
      const isDirected = relation !== "RELATED";
      const [source, target] =
        relation === "CAUSE_OF" || (!isDirected && id < event.id) ? [id, event.id] : [event.id, id];
      const key = `${source} ${target}`;
      edges.set(key, {
        id: key,
        source,
        target,
        ariaLabel: t.link(
          t.relations[isDirected ? "CAUSE_OF" : "RELATED"],
          summaries.get(source)!,
          summaries.get(target)!,
        ),
        markerEnd: isDirected ? { type: MarkerType.ArrowClosed, width: 20, height: 20 } : undefined,
        className: isDirected ? undefined : classes.related,
      });
    }
  }
  return [...edges.values()];
}

function place(events: readonly GraphEventFragment[], edges: readonly Edge[], current: string, canLink: boolean): EventNode[] {
  const graph = new graphlib.Graph().setGraph({ rankdir: "LR", nodesep: 24, ranksep: 64 });
  for (const { id } of events) graph.setNode(id, { width: WIDTH, height: HEIGHT });
  for (const { source, target } of edges) graph.setEdge(source, target, {});
  layout(graph);
  return events.map((event) => {
    const { x, y } = graph.node(event.id);
    return {
      id: event.id,
      type: "event",
      position: { x: x - WIDTH / 2, y: y - HEIGHT / 2 },
      data: { event, isCurrent: event.id === current, canLink },
    };
  });
}

function EventBox({ data: { event, isCurrent, canLink } }: NodeProps<EventNode>) {
  return (
    <div className={classes.event} data-current={isCurrent || undefined}>
      <Handle type="target" position={Position.Left} isConnectable={canLink} />
      <SeverityLabel severity={event.severity} isCompact />
      {isCurrent ? (
        <span className={classes.summary} aria-current="page">
          {event.summary}
        </span>
      ) : (
        <Link className={`${classes.summary} nodrag`} to={`/events/${event.id}`}>
          {event.summary}
        </Link>
      )}
      <Handle type="source" position={Position.Right} isConnectable={canLink} />
    </div>
  );
}

const NODE_TYPES = { event: EventBox };
