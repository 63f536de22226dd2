"""Payloads as Alertmanager, Grafana and PagerDuty senders document them."""

from __future__ import annotations

from typing import Any

ALERT: dict[str, Any] = {
    "status": "firing",
    "labels": {"alertname": "Disk", "instance": "pump-7", "severity": "critical"},
    "annotations": {"summary": "Disk full", "description": "Only 2 % of /var are free."},
    "startsAt": "2026-04-10T10:30:00Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus/graph",
    "fingerprint": "c0ffee0123456789",
}


def resolve_alert(alert: dict[str, Any], ends_at: str) -> dict[str, Any]:
    return alert | {"status": "resolved", "endsAt": ends_at}


def alertmanager_payload(*alerts: Any) -> dict[str, Any]:
    """A notification of Alertmanager: version 4 of its webhook format."""
    return {
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "tocsin",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": list(alerts),
    }


def grafana_payload(**changes: Any) -> dict[str, Any]:
    """A notification of a Grafana contact point of the type Webhook, with one alert."""
    alert = {
        "status": "firing",
        "labels": {"alertname": "High temperature", "grafana_folder": "Plant", "severity": "page"},
        "annotations": {"summary": "Temperature is high"},
        "startsAt": "2026-04-10T10:30:00+02:00",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "https://grafana.example/alerting/grafana/a1/view",
        "fingerprint": "57c6d9296de2ad39",
        "silenceURL": "https://grafana.example/alerting/silence/new",
        "dashboardURL": "https://grafana.example/d/abc",
        "panelURL": "",
        "values": {"B": 44.2, "C": 1},
        "valueString": "[ var='B' labels={} value=44.2 ]",
    }
    return {
        "receiver": "Tocsin",
        "status": "firing",
        "orgId": 1,
        "alerts": [alert | changes],
        "groupLabels": {"alertname": "High temperature"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "https://grafana.example/",
        "version": "1",
        "groupKey": "{}:{alertname='High temperature'}",
        "truncatedAlerts": 0,
        "title": "[FIRING:1] High temperature",
        "state": "alerting",
        "message": "**Firing**",
    }


_PAYLOAD = {
    "summary": "Disk full",
    "source": "pump-7",
    "severity": "critical",
    "component": "disk",
    "custom_details": {"free": 2},
}


def pagerduty_event(action: str, key: Any, payload: Any = _PAYLOAD, **more: Any) -> dict[str, Any]:
    """An event of the PagerDuty Events API, version 2."""
    event = {
        "routing_key": "key",
        "event_action": action,
        "client": "Monitor",
        "client_url": "https://monitor.example",
    }
    if key is not None:
        event["dedup_key"] = key
    if payload is not None:
        event["payload"] = payload
    return event | more
