// What a sender needs: the address, the token, and its configuration. Also samples of payloads.

import type { SourceKind } from "../../api/generated";

export const KINDS: readonly SourceKind[] = ["ALERTMANAGER", "GRAFANA", "PAGERDUTY", "JSON"];

const ALERT = {
  status: "firing",
  labels: { alertname: "DiskFull", instance: "pump-7", severity: "critical" },
  annotations: { summary: "Disk full", description: "Only 2 % of /var are free." },
  startsAt: "2026-04-10T10:30:00Z",
  endsAt: "0001-01-01T00:00:00Z",
  generatorURL: "https://prometheus.example.com/graph",
  fingerprint: "c0ffee0123456789",
};

/** A payload of each kind. */
const SAMPLES: Record<SourceKind, object> = {
  ALERTMANAGER: { version: "4", receiver: "tocsin", status: "firing", alerts: [ALERT] },
  GRAFANA: {
    receiver: "tocsin",
    status: "firing",
    orgId: 1,
    version: "1",
    alerts: [{ ...ALERT, values: { A: 98 }, dashboardURL: "", panelURL: "", silenceURL: "" }],
  },
  PAGERDUTY: {
    event_action: "trigger",
    dedup_key: "pump-7/disk",
    payload: {
      summary: "Disk full on pump-7",
      source: "pump-7",
      severity: "critical",
      custom_details: { free: "2 %" },
    },
  },
  JSON: { check: "disk", host: "pump-7", ok: false, level: "fatal" },
};

export const formatSample = (kind: SourceKind): string => JSON.stringify(SAMPLES[kind], null, 2);

/** A mapping of the sample of kind JSON. */
export const MAPPING_OF_SAMPLE = {
  summary: "body.check + ' on ' + body.host",
  severity: "body.?level",
  alertKey: "body.host + '/' + body.check",
  resolved: "body.ok",
  notification: "true",
};

export interface Sender {
  kind: SourceKind;
  /** Address without the token. */
  url: string;
  token: string;
}

/** The address that senders of the kind use. */
export const addressOf = ({ kind, url }: Omit<Sender, "token">): string =>
  kind === "PAGERDUTY" ? url.replace(/\/sources\/[^/]+$/, "/v2/enqueue") : url;

/** A command that sends a payload: for kind JSON the sample, because its mapping may reject others. Null without one. */
export function formatCurl(sender: Sender, sample: unknown): string | null {
  const { kind, token } = sender;
  const isPagerDuty = kind === "PAGERDUTY";
  const payload = kind === "JSON" ? sample : SAMPLES[kind];
  if (payload === undefined) return null;
  const body = isPagerDuty ? { routing_key: token, ...SAMPLES[kind] } : payload;
  const lines = [
    `curl --fail-with-body '${addressOf(sender)}'`,
    ...(isPagerDuty ? [] : [`--header 'Authorization: Bearer ${token}'`]),
    "--header 'Content-Type: application/json'",
    `--data '${JSON.stringify(body).replaceAll("'", "'\\''")}'`,
  ];
  return lines.join(" \\\n  ");
}

const receiver = (lines: readonly string[]): string =>
  [
    "route:",
    "  receiver: tocsin",
    "  group_by: [alertname]",
    "receivers:",
    "  - name: tocsin",
    ...lines.map((line) => `    ${line}`),
  ].join("\n");

/** The configuration of a sender, with the name of its file. Null if there is none for the kind. */
export function formatConfiguration(sender: Sender): { file: string; text: string } | null {
  const { kind, token } = sender;
  const url = addressOf(sender);
  switch (kind) {
    case "ALERTMANAGER":
      return {
        file: "alertmanager.yml",
        text: receiver([
          "webhook_configs:",
          `  - url: ${url}`,
          "    send_resolved: true",
          "    http_config:",
          "      authorization:",
          `        credentials: ${token}`,
        ]),
      };
    case "GRAFANA":
      return {
        file: "provisioning/alerting/tocsin.yaml",
        text: [
          "apiVersion: 1",
          "contactPoints:",
          "  - orgId: 1",
          "    name: Tocsin",
          "    receivers:",
          "      - uid: tocsin",
          "        type: webhook",
          "        settings:",
          `          url: ${url}`,
          "          httpMethod: POST",
          "          authorization_scheme: Bearer",
          `          authorization_credentials: ${token}`,
        ].join("\n"),
      };
    case "PAGERDUTY":
      return {
        file: "alertmanager.yml",
        text: receiver([
          "pagerduty_configs:",
          `  - url: ${url}`,
          `    routing_key: ${token}`,
          "    severity: critical",
        ]),
      };
    case "JSON":
      return null;
  }
}
