"""Settings: names, values and files of the environment variables."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import typer
from pydantic import SecretStr, ValidationError

from app.command_runner import read_settings
from app.settings import Settings, secret_settings
from tests.client import Client
from tests.http.test_command import find_free_port, run_command, start_server

# The variables that Kubernetes sets in every pod for the Services `tocsin` and `tocsin-db`.
KUBERNETES = {
    "TOCSIN_SERVICE_HOST": "10.0.0.1",
    "TOCSIN_SERVICE_PORT": "8000",
    "TOCSIN_SERVICE_PORT_HTTP": "8000",
    "TOCSIN_PORT": "tcp://10.0.0.1:8000",
    "TOCSIN_PORT_8000_TCP": "tcp://10.0.0.1:8000",
    "TOCSIN_PORT_8000_TCP_PROTO": "tcp",
    "TOCSIN_PORT_8000_TCP_PORT": "8000",
    "TOCSIN_PORT_8000_TCP_ADDR": "10.0.0.1",
    "TOCSIN_DB_SERVICE_HOST": "10.0.0.2",
    "TOCSIN_DB_SERVICE_PORT": "5432",
    "TOCSIN_DB_PORT": "tcp://10.0.0.2:5432",
    "TOCSIN_DB_PORT_5432_TCP_ADDR": "10.0.0.2",
}


def read_errors(monkeypatch: pytest.MonkeyPatch, **variables: str) -> list[str]:
    """Reads the settings with these variables. Returns the lines of the error."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as raised:
        Settings()
    [error] = raised.value.errors()
    return error["msg"].splitlines()


@pytest.mark.parametrize("command", ["serve", "migrate", "export"])
async def test_a_setting_under_an_old_name_is_an_error_that_names_the_new_one(
    tmp_path: Path, command: str
) -> None:
    code, out, err = await run_command(tmp_path, command, log_requests="on", limits__page="50")

    assert (code, out) == (2, "")
    assert sorted(err.splitlines()) == [
        "TOCSIN_LIMITS__PAGE was renamed: set TOCSIN_LIMITS__PAGE_SIZE instead.",
        "TOCSIN_LOG_REQUESTS was renamed: set TOCSIN_ACCESS_LOG instead.",
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TOCSIN_LIMITS__PAGE", "50"),
        ("tocsin_limits__page", "50"),
        ("Tocsin_Limits", '{"page": 50}'),
        ("TOCSIN_LIMITS__PAGE", ""),
    ],
)
def test_an_old_name_of_a_setting_is_detected_in_any_spelling(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    errors = read_errors(monkeypatch, **{variable: value})

    assert errors == ["TOCSIN_LIMITS__PAGE was renamed: set TOCSIN_LIMITS__PAGE_SIZE instead."]


@pytest.mark.parametrize(
    ("variable", "value", "error"),
    [
        (
            "TOCSIN_DATABSE_URL",
            "postgresql://db.example/events",
            "Unknown setting TOCSIN_DATABSE_URL. Did you mean TOCSIN_DATABASE_URL?",
        ),
        (
            "tocsin_databse_url",
            "",
            "Unknown setting TOCSIN_DATABSE_URL. Did you mean TOCSIN_DATABASE_URL?",
        ),
        (
            "TOCSIN_JWT_SECRET_FIL",
            "/run/secrets/jwt",
            "Unknown setting TOCSIN_JWT_SECRET_FIL. Did you mean TOCSIN_JWT_SECRET_FILE?",
        ),
        (
            "TOCSIN_LIMITS_PAGE_SIZE",
            "50",
            "Unknown setting TOCSIN_LIMITS_PAGE_SIZE. Did you mean TOCSIN_LIMITS__PAGE_SIZE?",
        ),
        (
            "TOCSIN_LIMITS__PAGE_SIZES",
            "50",
            "Unknown setting TOCSIN_LIMITS__PAGE_SIZES. Did you mean TOCSIN_LIMITS__PAGE_SIZE?",
        ),
        (
            "TOCSIN_LIMITS",
            '{"page_sizes": 50}',
            "Unknown setting TOCSIN_LIMITS__PAGE_SIZES. Did you mean TOCSIN_LIMITS__PAGE_SIZE?",
        ),
        ("TOCSIN_LIMITS__FOO", "1", "Unknown setting TOCSIN_LIMITS__FOO."),
        ("TOCSIN_LIMITS__PAGE_SIZE__X", "1", None),
        ("TOCSIN_XYZZY", "1", "Unknown setting TOCSIN_XYZZY."),
        ("TOCSIN_PUBLIC_URL_FILE", "/a", None),
        # Options of `serve`. This port is not an address that Kubernetes injects.
        (
            "TOCSIN_PORT",
            "8000",
            "Unknown setting TOCSIN_PORT. Set the port with an option: `tocsin serve --port 8001`.",
        ),
        (
            "TOCSIN_HOST",
            "0.0.0.0",
            "Unknown setting TOCSIN_HOST. Set the address with an option: "
            "`tocsin serve --host 0.0.0.0`.",
        ),
        (
            "TOCSIN_WORKERS",
            "2",
            "Unknown setting TOCSIN_WORKERS. "
            "Set the number of workers with an option: `tocsin serve --workers 2`.",
        ),
        (
            "TOCSIN_LIMITS__CLOUD_EVENTS_BODY_BYTES",
            "1",
            "TOCSIN_LIMITS__CLOUD_EVENTS_BODY_BYTES was renamed: "
            "set TOCSIN_LIMITS__BODY_BYTES instead.",
        ),
        (
            "TOCSIN_READY_LAG_SECONDS",
            "30",
            "TOCSIN_READY_LAG_SECONDS was removed: "
            "alert on the metric tocsin_change_log_lag_seconds instead.",
        ),
    ],
)
def test_an_unknown_setting_is_an_error_with_the_most_similar_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, error: str | None
) -> None:
    [line] = read_errors(monkeypatch, **{variable: value})

    assert line == error or (error is None and line.startswith(f"Unknown setting {variable}."))


def test_variables_that_kubernetes_injects_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KUBERNETES.items():
        monkeypatch.setenv(name, value)

    assert Settings() == Settings.model_construct()


@pytest.mark.parametrize("name", ["page_size", "PAGE_SIZE"])
def test_a_group_of_settings_can_be_a_json_object(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("TOCSIN_LIMITS", f'{{"{name}": 50}}')

    assert Settings().limits.page_size == 50


@pytest.mark.parametrize("end", ["\n", "\r\n", " \n", "\t"])
def test_spaces_and_line_breaks_around_a_value_are_ignored(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    plain = {
        "database_url": "postgresql://db.example/events",
        "bootstrap_key": "key",
        "public_url": "https://events.example",
        "cors_origins": "https://a.example",
        "jwt_secret": "s" * 32,
        "jwt_jwks_url": "https://id.example/keys",
        "jwt_issuer": "https://id.example",
        "jwt_audience": "tocsin",
        "metrics_token": "token",
        "trusted_proxies": "10.0.0.1",
        "metrics": "off",
        "limits__page_size": "50",
    }
    for name, value in plain.items():
        monkeypatch.setenv(f"TOCSIN_{name.upper()}", value)
    expected = Settings()
    for name, value in plain.items():
        monkeypatch.setenv(f"TOCSIN_{name.upper()}", f" {value}{end}")

    assert Settings() == expected
    assert expected.metrics_token == SecretStr("token")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("name", ["database_url", "bootstrap_key", "jwt_secret", "metrics_token"])
def test_a_secret_can_be_read_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, encoding: str
) -> None:
    file = tmp_path / "secret"
    text = "hush" if name in ("bootstrap_key", "metrics_token") else "postgresql://db.example/é"
    file.write_text(f"{text}\r\n", encoding=encoding)
    monkeypatch.setenv(f"TOCSIN_{name.upper()}_FILE", f"{file}\n")

    value = getattr(Settings(), name)

    assert (value.get_secret_value() if isinstance(value, SecretStr) else value) == text
    assert name in secret_settings()


def test_a_file_of_a_secret_that_cannot_be_read_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    errors = read_errors(
        monkeypatch,
        TOCSIN_JWT_SECRET_FILE=f"{tmp_path}/none",
        TOCSIN_METRICS_TOKEN_FILE=f"{tmp_path}/binary",
        TOCSIN_BOOTSTRAP_KEY_FILE=str(tmp_path),
    )

    assert sorted(errors) == [
        "TOCSIN_BOOTSTRAP_KEY_FILE: The file cannot be read: Is a directory.",
        "TOCSIN_JWT_SECRET_FILE: The file cannot be read: No such file or directory.",
        "TOCSIN_METRICS_TOKEN_FILE: The file cannot be read: its content is not valid UTF-8.",
    ]


def test_a_secret_is_set_directly_or_by_a_file_but_not_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("a")
    errors = read_errors(
        monkeypatch, TOCSIN_BOOTSTRAP_KEY="b", TOCSIN_BOOTSTRAP_KEY_FILE=f"{tmp_path}/key"
    )

    assert errors == ["Set either TOCSIN_BOOTSTRAP_KEY or TOCSIN_BOOTSTRAP_KEY_FILE, not both."]


@pytest.mark.parametrize("name", ["bootstrap_key", "jwt_secret", "metrics_token"])
async def test_an_empty_secret_is_an_error(tmp_path: Path, name: str) -> None:
    code, _, err = await run_command(tmp_path, "serve", **{name: " \n"})

    assert (code, err) == (2, f"TOCSIN_{name.upper()}: The value must not be empty.\n")


@pytest.mark.parametrize("value", ["line1\nline2", "schlüssel", "\ufeffhush", "tab\tbed", "a\x7f"])
@pytest.mark.parametrize("name", ["bootstrap_key", "metrics_token"])
def test_a_credential_that_no_client_can_send_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    value: str,
) -> None:
    (tmp_path / "secret").write_text(f"{value}\n", encoding="utf-8-sig")
    for suffix, content in (("", value), ("_FILE", f"{tmp_path}/secret")):
        variable = f"TOCSIN_{name.upper()}{suffix}"
        with monkeypatch.context() as environment, pytest.raises(typer.Exit) as raised:
            environment.setenv(variable, content)
            read_settings()

        assert raised.value.exit_code == 2
        assert capsys.readouterr().err == (
            f"{variable}: Clients cannot send the value in an HTTP header. Use a single line of "
            "printable ASCII characters.\n"
        )


async def test_an_error_of_a_value_in_a_file_names_the_variable_of_the_file(
    tmp_path: Path,
) -> None:
    (tmp_path / "url").write_text("mysql://a/b")
    (tmp_path / "key").write_text("\n")
    url = await run_command(tmp_path, "migrate", database_url_file=f"{tmp_path}/url")
    key = await run_command(tmp_path, "migrate", bootstrap_key_file=f"{tmp_path}/key")

    assert url[2].startswith("TOCSIN_DATABASE_URL_FILE: The database 'mysql' is not supported.")
    assert key[2] == "TOCSIN_BOOTSTRAP_KEY_FILE: The value must not be empty.\n"


async def test_the_administrator_signs_in_with_a_key_of_a_mounted_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hush\n", encoding="utf-8-sig")
    port = find_free_port()
    async with (
        start_server(tmp_path, port, bootstrap_key_file=str(tmp_path / "key")) as (_, printed),
        Client(f"http://127.0.0.1:{port}", "hush") as administrator,
    ):
        counted = await administrator.execute_field("{ events { totalCount } }")

    assert counted == {"totalCount": 0}
    assert "hush" not in printed


async def test_a_given_key_is_not_printed(tmp_path: Path) -> None:
    code, out, err = await run_command(tmp_path, "migrate", bootstrap_key="hush" * 8)

    assert (code, out, err) == (0, "The database is up to date.\n", "")


async def test_a_short_key_of_the_administrator_logs_a_warning_without_the_key(
    tmp_path: Path,
) -> None:
    first = await run_command(tmp_path, "migrate", bootstrap_key="hush")
    second = await run_command(tmp_path, "migrate", bootstrap_key="hush")

    for code, _, err in (first, second):
        assert code == 0
        assert "the API key of the administrator, has only 4 characters" in err
        assert "Use at least 32 random characters." in err
        assert "hush" not in err


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("limits__page_size", "many", "Invalid value 'many': expected a whole number."),
        ("limits__page_size", "1.5", "Invalid value '1.5': expected a whole number."),
        ("limits__page_size", "", "Invalid value '': expected a whole number."),
        ("limits__page_size", "0", "Invalid value '0': expected a number that is at least 1."),
        ("limits__body_bytes", "0", "Invalid value '0': expected a number that is at least 1."),
        ("limits__offset", "-1", "Invalid value '-1': expected a number that is at least 0."),
        ("drain_seconds", "601", "Invalid value '601': expected a number that is at most 600."),
        (
            "requests__query_timeout_seconds",
            "-1",
            "Invalid value '-1': expected a number that is at least 0.000001.",
        ),
        (
            "sockets__ping_interval_seconds",
            "0",
            "Invalid value '0': expected a number that is at least 0.000001.",
        ),
        ("sockets__pong_timeout_seconds", "soon", "Invalid value 'soon': expected a number."),
        ("sockets__pong_timeout_seconds", "inf", "Invalid value 'inf': expected a number."),
        ("metrics", "maybe", "Invalid value 'maybe': expected on or off."),
        (
            "trusted_proxies",
            "10.0.0.1, proxy.example",
            "Invalid address 'proxy.example'. Use IP addresses and networks separated by commas, "
            "such as 10.0.0.1,10.1.0.0/16.",
        ),
        # The server would trust nothing in it.
        (
            "trusted_proxies",
            "10.0.0.1/8",
            "Invalid address '10.0.0.1/8'. Use IP addresses and networks separated by commas, "
            "such as 10.0.0.1,10.1.0.0/16.",
        ),
        ("limits", "many", "The value must be a JSON object with the settings of this group."),
        ("limits", "[1]", "The value must be a JSON object with the settings of this group."),
    ],
)
def test_an_invalid_value_is_an_error_with_the_variable_and_the_expected_value(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    error: str,
) -> None:
    monkeypatch.setenv(f"TOCSIN_{name.upper()}", value)

    with pytest.raises(typer.Exit) as exit:
        read_settings()

    assert exit.value.exit_code == 2
    assert capsys.readouterr().err == f"TOCSIN_{name.upper()}: {error}\n"


async def test_a_command_ends_with_an_invalid_value(tmp_path: Path) -> None:
    code, out, err = await run_command(tmp_path, "serve", databse_url="sqlite:///a.db", metrics="x")

    assert (code, out) == (2, "")
    assert err == "Unknown setting TOCSIN_DATABSE_URL. Did you mean TOCSIN_DATABASE_URL?\n"
    assert list(tmp_path.iterdir()) == []


def test_every_limit_has_a_minimum_that_a_server_starts_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = {
        f"TOCSIN_{group}__{limit.name}".upper(): limit.metadata["ge"]
        for group in Settings.model_fields
        if dataclasses.is_dataclass(default := getattr(Settings(), group))
        for limit in dataclasses.fields(default)
    }
    for variable, minimum in limits.items():
        monkeypatch.setenv(variable, str(minimum))

    assert len(limits) > 60
    assert isinstance(Settings(), Settings)


@pytest.mark.parametrize("proxies", ["*", "10.0.0.1", "10.0.0.1, 10.1.0.0/16", "fd00::/8,::1"])
def test_proxies_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch, proxies: str) -> None:
    monkeypatch.setenv("TOCSIN_TRUSTED_PROXIES", proxies)

    assert Settings().trusted_proxies == proxies


async def test_an_invalid_public_url_is_an_error_with_the_expected_format(
    tmp_path: Path,
) -> None:
    code, _, err = await run_command(tmp_path, "serve", public_url="events.example?x")

    assert code == 2
    assert err == (
        "TOCSIN_PUBLIC_URL: Invalid base URL 'events.example?x'. "
        "Use https://HOST or https://HOST/PATH, without a query.\n"
    )


PROVIDER = {
    "TOCSIN_OIDC_CLIENT_ID": "console",
    "TOCSIN_JWT_ISSUER": "https://id.example/realms/a",
    "TOCSIN_JWT_AUDIENCE": "tocsin",
    "TOCSIN_JWT_JWKS_URL": "https://id.example/keys",
}


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        (
            {"TOCSIN_OIDC_CLIENT_ID": "console", "TOCSIN_JWT_AUDIENCE": "tocsin"},
            "TOCSIN_OIDC_CLIENT_ID: Sign-in requires TOCSIN_JWT_ISSUER and TOCSIN_JWT_JWKS_URL.",
        ),
        *(
            (
                PROVIDER | {"TOCSIN_JWT_ISSUER": issuer},
                "TOCSIN_JWT_ISSUER: For sign-in to the console, the issuer must be the URL of the "
                "identity provider, https://HOST or https://HOST/PATH. Only a provider on the same "
                "machine may use http://.",
            )
            for issuer in ("tocsin", "http://id.example", "https://id.example; img-src *")
        ),
        (PROVIDER | {"TOCSIN_OIDC_SCOPE": "profile"}, "The scopes must include openid"),
        *(
            (
                PROVIDER | {"TOCSIN_OIDC_TOKEN_ORIGIN": origin},
                f"Invalid origin '{origin}'. Use https://HOST without a path. Only a provider on "
                "the same machine may use http://",
            )
            for origin in ("https://id.example/token", "id.example", "https://id.example *")
        ),
    ],
)
def test_settings_for_sign_in_that_cannot_be_used_are_errors(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], error: str
) -> None:
    [line] = read_errors(monkeypatch, **settings)

    assert line.removeprefix("Value error, ") == error


@pytest.mark.parametrize("issuer", ["https://id.example:8443/a", "http://localhost:8080/realms/a"])
def test_an_issuer_has_https_or_is_on_the_same_machine(
    monkeypatch: pytest.MonkeyPatch, issuer: str
) -> None:
    for name, value in (PROVIDER | {"TOCSIN_JWT_ISSUER": issuer}).items():
        monkeypatch.setenv(name, value)

    assert Settings().jwt_issuer == issuer


def test_printed_settings_and_errors_contain_no_secret() -> None:
    settings = Settings(
        bootstrap_key=SecretStr("hush-1"),
        jwt_secret=SecretStr("hush-2"),
        metrics_token=SecretStr("hush-3"),
        database_url="postgresql://me:hush-4@db.example/events",
    )
    with pytest.raises(ValidationError) as raised:
        Settings(database_url="hush-5", jwt_leeway_seconds=-1)

    assert "hush" not in f"{settings!r} {settings} {raised.value}"
