"""The settings file `tocsin.toml`, whose values environment variables override.

Its keys are the names of settings without `TOCSIN_`, in lower case; a group of settings is a table.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

FILE_VARIABLE = "TOCSIN_SETTINGS_FILE"
DEFAULT_FILE = Path("tocsin.toml")


@dataclass(frozen=True)
class SettingsFile:
    """The values of the file. `problem`: why it cannot be read."""

    path: Path = DEFAULT_FILE
    values: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None

    def list_variables(self) -> dict[str, str]:
        """The settings as environment variables, to verify their names."""
        return {f"TOCSIN_{'__'.join(path)}".upper(): "" for path in _iterate_paths(self.values)}

    def has(self, *path: str) -> bool:
        return tuple(path) in set(_iterate_paths(self.values))


def read_settings_file() -> SettingsFile:
    """Reads the file that TOCSIN_SETTINGS_FILE names, or `tocsin.toml` if it exists."""
    named = os.environ.get(FILE_VARIABLE)
    path = DEFAULT_FILE if named is None else Path(named)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        return SettingsFile(path, problem=None if named is None else f"{error.strerror}.")
    except OSError as error:
        return SettingsFile(path, problem=f"The file cannot be read: {error.strerror}.")
    except ValueError as error:  # TOML or UTF-8
        return SettingsFile(path, problem=f"The file is not valid TOML: {error}.")
    return SettingsFile(path, values)


class SettingsFileSource(PydanticBaseSettingsSource):
    """Returns the values of the settings file. Lists of strings are written with commas."""

    def __init__(self, settings_class: type[BaseSettings], file: SettingsFile) -> None:
        super().__init__(settings_class)
        self._values = {name: _to_setting(value) for name, value in file.values.items()}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        known = self.settings_cls.model_fields
        return {name: value for name, value in self._values.items() if name in known}


def _to_setting(value: Any) -> Any:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return value


def _iterate_paths(values: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, value in values.items():
        if isinstance(value, dict) and name != "severity_map":
            yield from ((name, each) for each in value)
        else:
            yield (name,)
