"""Renders the Helm chart into a folder, and compares it with the manifests of kustomize/.

Usage: render_chart.py FOLDER, in an environment with requirements.lock.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

DEPLOY = Path(__file__).parent
CHART = DEPLOY / "chart"
# Labels and other metadata that only one of both has.
OTHER_LABELS = {
    "annotations",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
}
# What kustomize/ has, and the chart does not have by default.
KUSTOMIZE_VALUES: dict[str, Any] = {
    "settings": {
        "TOCSIN_PUBLIC_URL": "https://events.example.com",
        "TOCSIN_TRUSTED_PROXIES": "10.244.0.0/16",
    },
    "backup": {"enabled": True},
}
WARNING = 2  # as helm.lint returns it
# With everything that has a default value changed.
OTHER_VALUES: dict[str, Any] = {
    "replicas": 3,
    "image": {"repository": "registry.example.com/other", "tag": "1.0.0"},
    "secretName": "events",
    "settings": {
        "TOCSIN_PUBLIC_URL": "https://events.example.com",
        "TOCSIN_ACCESS_LOG": True,
        "TOCSIN_LIMITS__BODY_BYTES": 8388608,
        "TOCSIN_LIMITS__CLOCK_SKEW_SECONDS": 0.5,
    },
    "drainSeconds": 30,
    "resources": {},
    "networkPolicy": {
        "fromNamespaces": ["proxies"],
        "databasePort": 6432,
        "extraPorts": [4318, 587],
    },
    "serviceMonitor": {"enabled": False},
    "backup": {
        "enabled": True,
        "schedule": "0 * * * *",
        "keepDays": 30,
        "image": "registry.example.com/postgres:18",
        "storage": "1Ti",
    },
}


def render(chart: helm.Chart, values: dict[str, Any]) -> dict[str, Any]:
    """Returns the rendered objects by their kind."""
    chart.validate_schema(values)
    texts = chart.render(values, name="tocsin", namespace="events")
    objects = [each for text in texts.values() for each in yaml.safe_load_all(text) if each]
    return {each["kind"]: each for each in objects}


def read_environment(deployment: dict[str, Any]) -> dict[str, str]:
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


def read_kustomize() -> dict[str, Any]:
    """Returns the objects of kustomize/ by their kind, with its image."""
    customization = yaml.safe_load((DEPLOY / "kustomize" / "kustomization.yaml").read_text())
    objects = [
        each
        for name in (*customization["resources"], "backup.yaml")
        for each in yaml.safe_load_all((DEPLOY / "kustomize" / name).read_text())
    ]
    [image] = customization["images"]
    manifests = {each["kind"]: each for each in objects}
    [container] = manifests["Deployment"]["spec"]["template"]["spec"]["containers"]
    container["image"] = f"{image['newName']}:{image['newTag']}"
    return manifests


def without_labels(value: Any) -> Any:
    """Returns the value without labels that only one of both has."""
    if isinstance(value, dict):
        return {
            name: without_labels(item) for name, item in value.items() if name not in OTHER_LABELS
        }
    if isinstance(value, list):
        return [without_labels(item) for item in value]
    return value


def main(folder: Path) -> None:
    report = helm.lint(CHART, strict=True)
    if findings := [each for each in report["messages"] if each["severity"] >= WARNING]:
        sys.exit(f"The chart has findings: {findings}")
    with helm.Chart.load(CHART) as chart:
        rendered = {
            "default": render(chart, {}),
            "kustomize": render(chart, KUSTOMIZE_VALUES),
            "other": render(chart, OTHER_VALUES),
        }
    if without_labels(rendered["kustomize"]) != read_kustomize():
        sys.exit(f"chart/ and kustomize/ differ: {without_labels(rendered['kustomize'])}")
    environment = read_environment(rendered["other"]["Deployment"])
    for name, value in OTHER_VALUES["settings"].items():
        expected = value if isinstance(value, str) else json.dumps(value)
        if environment[name] != expected:
            sys.exit(f"{name} is rendered as {environment[name]!r} instead of {expected!r}.")
    [egress] = rendered["other"]["NetworkPolicy"]["spec"]["egress"]
    if [each["port"] for each in egress["ports"]] != [53, 53, 6432, 443, 4318, 587]:
        sys.exit(f"The network policy allows other ports: {egress['ports']}")
    backup = rendered["other"]["CronJob"]["spec"]
    script = backup["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["command"][-1]
    if backup["schedule"] != "0 * * * *" or "-mtime +30 " not in script:
        sys.exit(f"Values of the backup are not used: {backup}")
    if "CronJob" in rendered["default"]:
        sys.exit("The chart writes backups by default.")
    for name, objects in rendered.items():
        for kind, manifest in objects.items():
            (folder / f"{name}-{kind}.yaml").write_text(yaml.safe_dump(manifest))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
