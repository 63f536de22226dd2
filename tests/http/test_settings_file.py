"""The settings file `tocsin.toml`, and `tocsin settings`."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import HIDDEN_VALUE, Settings
from tests.http.test_command import run_command

FILE = """
public_url = "https://events.example.com"
trusted_proxies = ["10.0.0.1", "10.1.0.0/16"]
metrics = false
metrics_token = "secret token"
severity_map = { critical = "error" }

[limits]
page_size = 50
offset = 7
"""


def test_the_file_sets_what_environment_variables_do_not_override(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tocsin.toml").write_text(FILE)
    monkeypatch.setenv("TOCSIN_LIMITS__OFFSET", "9")
    monkeypatch.setenv("TOCSIN_METRICS", "on")

    settings = Settings()

    assert settings.public_url == "https://events.example.com"
    assert settings.trusted_proxies == "10.0.0.1,10.1.0.0/16"
    assert (settings.limits.page_size, settings.limits.offset) == (50, 9)
    assert settings.limits.tags_per_event == 100
    assert settings.metrics is True
    assert {word: each.value for word, each in (settings.severity_map or {}).items()} == {
        "critical": "ERROR"
    }


async def test_the_command_shows_settings_with_their_sources_and_hides_secrets(
    tmp_path: Path,
) -> None:
    (tmp_path / "tocsin.toml").write_text(FILE)
    (tmp_path / "key").write_text("k" * 40)
    variables = {"limits__offset": "9", "bootstrap_key_file": str(tmp_path / "key")}
    database_url = "postgresql://tocsin:password@db.example.com/events?sslmode=require"

    every = await run_command(tmp_path, "settings", database_url=database_url, **variables)
    changed = await run_command(
        tmp_path, "settings", "--changed", database_url=database_url, **variables
    )

    assert changed == (
        0,
        f'database_url = "postgresql://tocsin:{HIDDEN_VALUE}@db.example.com/events?sslmode=require"'
        "  # TOCSIN_DATABASE_URL\n"
        f'bootstrap_key = "{HIDDEN_VALUE}"  # TOCSIN_BOOTSTRAP_KEY_FILE\n'
        'public_url = "https://events.example.com"  # tocsin.toml: public_url\n'
        'severity_map = { "critical" = "ERROR" }  # tocsin.toml: severity_map\n'
        'trusted_proxies = "10.0.0.1,10.1.0.0/16"  # tocsin.toml: trusted_proxies\n'
        "drain_seconds = 0.0  # TOCSIN_DRAIN_SECONDS\n"
        "metrics = false  # tocsin.toml: metrics\n"
        f'metrics_token = "{HIDDEN_VALUE}"  # tocsin.toml: metrics_token\n'
        "\n[limits]\n"
        "page_size = 50  # tocsin.toml: limits.page_size\n"
        "offset = 9  # TOCSIN_LIMITS__OFFSET\n"
        "\n[requests]\n"
        "query_timeout_seconds = 90.0  # TOCSIN_REQUESTS__QUERY_TIMEOUT_SECONDS\n",
        "",
    )
    assert set(changed[1].splitlines()) <= set(every[1].splitlines())
    assert "# cors_origins is not set" in every[1]
    assert "tags_per_event = 100  # default" in every[1]
    assert "password" not in every[1] + every[2]
    assert "secret" not in every[1].replace("jwt_secret", "").replace("secrets_keys", "")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("limits = [", "tocsin.toml: The file is not valid TOML: "),
        (
            "[limits]\npage = 50",
            "tocsin.toml: TOCSIN_LIMITS__PAGE was renamed: set TOCSIN_LIMITS__PAGE_SIZE instead.",
        ),
        ("public_ur = 'x'", "tocsin.toml: Unknown setting TOCSIN_PUBLIC_UR. Did you mean"),
        (
            "[limits]\npage_size = 0",
            "tocsin.toml: limits.page_size: Invalid value '0': expected a number that is at least ",
        ),
        ("limits = 3", "tocsin.toml: limits: The value must be a JSON object"),
    ],
)
async def test_an_error_in_the_file_names_the_file_and_the_key(
    tmp_path: Path, content: str, error: str
) -> None:
    (tmp_path / "tocsin.toml").write_text(content)

    code, out, err = await run_command(tmp_path, "settings")

    assert (code, out) == (2, "")
    assert err.startswith(error)


async def test_the_file_may_name_the_files_of_secrets(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t" * 40 + "\n")
    (tmp_path / "url").write_text("sqlite:///other.db\n")
    settings = tmp_path / "tocsin.toml"
    settings.write_text('metrics_token_file = "token"\ndatabase_url_file = "url"\n')

    read = await run_command(tmp_path, "settings", "--changed")
    overridden = await run_command(tmp_path, "settings", metrics_token="m" * 40)
    settings.write_text('metrics_token_file = "missing"\njwt_secret = "s"\njwt_secret_file = "s"\n')
    failed = await run_command(tmp_path, "settings")

    assert 'database_url = "sqlite:///other.db"  # tocsin.toml: database_url_file\n' in read[1]
    assert f'metrics_token = "{HIDDEN_VALUE}"  # tocsin.toml: metrics_token_file\n' in read[1]
    assert f'metrics_token = "{HIDDEN_VALUE}"  # TOCSIN_METRICS_TOKEN\n' in overridden[1]
    assert (failed[0], failed[1]) == (2, "")
    assert failed[2].splitlines() == [
        "tocsin.toml: Set either jwt_secret or jwt_secret_file, not both.",
        "tocsin.toml: jwt_secret_file: The file cannot be read: No such file or directory.",
        "tocsin.toml: metrics_token_file: The file cannot be read: No such file or directory.",
    ]


@pytest.mark.parametrize(
    ("name", "url", "shown"),
    [
        ("database_url", "postgresql://h/n?password=secret", "postgresql://h/n?password=HIDDEN"),
        (
            "database_url",
            "postgresql:///n?user=u@h&password=secret&connect_timeout=5",
            "postgresql:///n?user=u@h&password=HIDDEN&connect_timeout=5",
        ),
        (
            "jwt_jwks_url",
            "https://u:secret@idp.example/keys?a=b",
            "https://u:HIDDEN@idp.example/keys?a=b",
        ),
    ],
)
async def test_the_command_shows_urls_without_their_passwords(
    tmp_path: Path, name: str, url: str, shown: str
) -> None:
    provider = {"jwt_issuer": "https://idp.example", "jwt_audience": "tocsin"}

    code, out, err = await run_command(
        tmp_path,
        "settings",
        "--changed",
        **({} if name == "database_url" else provider),
        **{name: url},
    )

    assert (code, err) == (0, "")
    assert f'{name} = "{shown.replace("HIDDEN", HIDDEN_VALUE)}"' in out
    assert "secret" not in out


async def test_the_output_of_the_command_is_a_settings_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'events.db'}"
    printed = await run_command(tmp_path, "settings", "--changed", database_url=url)
    (tmp_path / "tocsin.toml").write_text(printed[1])

    code, out, err = await run_command(tmp_path, "settings", "--changed")

    assert (code, err) == (0, "")
    assert f'database_url = "{url}"  # tocsin.toml: database_url\n' in out


async def test_the_command_fails_if_the_url_of_the_database_is_invalid(tmp_path: Path) -> None:
    url = "postgresql://h1:5432,h2:5432/x"

    code, out, err = await run_command(tmp_path, "settings", database_url=url)

    assert (code, out) == (1, "")
    assert err.startswith("TOCSIN_DATABASE_URL: The value is not a database URL.")


async def test_a_file_that_is_named_must_exist(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("metrics = false")

    named = await run_command(tmp_path, "settings", "--changed", settings_file="other.toml")
    missing = await run_command(tmp_path, "settings", settings_file="missing.toml")

    assert "metrics = false  # other.toml: metrics\n" in named[1]
    assert missing == (2, "", "missing.toml: No such file or directory.\n")
