"""Which addresses Apprise may send to: services that are reached by HTTP or email.

Only these schemes and parameters are allowed, and the addresses of webhooks that these services
show to their users. Others read files, run programs of the server or talk to its desktop, attach
files, load templates and keys, or replace the format and the time limits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.domain.shared.messages import limit_message, quote_value

MAX_URL_CHARACTERS = 2_048
DOCUMENTATION = "https://appriseit.com/services/"
_URL = re.compile(r"(?P<scheme>[A-Za-z0-9]{1,12})://(?P<address>[!-~]+)")
_PARAMETER = re.compile("[A-Za-z0-9_-]+")
_PARAMETER_SEPARATORS = re.compile("[&;]")
_HOST_AND_PORT = re.compile(r"(?:[^/?@]*@)?(?P<place>[^/?@]+)")
_NATIVE_HOST = re.compile(r"(?P<host>[a-z0-9.-]+)(?::443)?")


@dataclass(frozen=True)
class AppriseService:
    """`module`: that of Apprise. `schemes`: of the URL. `parameters`: of its query.

    `shows_host`: whether the host of the address is one. For other services, it is a secret.
    `hosts`: those of the addresses that the service itself shows, which begin with https; one that
    begins with a dot stands for all hosts of a domain. `ignored`: further parameters of these
    addresses, which Apprise replaces.
    """

    module: str
    schemes: tuple[str, ...]
    parameters: frozenset[str] = frozenset()
    shows_host: bool = False
    hosts: tuple[str, ...] = ()
    ignored: frozenset[str] = frozenset()


def _service(
    module: str,
    schemes: str,
    parameters: str = "",
    *,
    shows_host: bool = False,
    hosts: str = "",
    ignored: str = "",
) -> AppriseService:
    return AppriseService(
        module,
        tuple(schemes.split()),
        frozenset(parameters.split()),
        shows_host,
        tuple(hosts.split()),
        frozenset(ignored.split()),
    )


SERVICES = (
    # Email
    _service(
        "email", "mailto mailtos", "to from cc bcc reply name smtp mode user pass", shows_host=True
    ),
    _service("brevo", "brevo", "to cc bcc reply"),
    _service("mailgun", "mailgun", "to from cc bcc name region batch"),
    _service("resend", "resend", "to from cc bcc name reply apikey"),
    _service("sendgrid", "sendgrid", "to cc bcc"),
    _service("ses", "ses", "to from cc bcc name reply region access secret"),
    _service("smtp2go", "smtp2go", "to cc bcc name batch"),
    _service("sparkpost", "sparkpost", "to cc bcc name region batch"),
    # Chat
    _service("discord", "discord", "thread ping", hosts="discord.com discordapp.com"),
    _service("feishu", "feishu", "token"),
    _service("google_chat", "gchat", "workspace key token thread", hosts="chat.googleapis.com"),
    _service("lark", "lark", hosts="open.larksuite.com"),
    _service("line", "line", "to"),
    _service("matrix", "matrix matrixs", "to mode token version msgtype"),
    _service(
        "mattermost", "mmost mmosts", "to channel channels botname team mode", shows_host=True
    ),
    _service("nextcloudtalk", "nctalk nctalks", "secret silent", shows_host=True),
    _service("rocketchat", "rocket rockets", "to mode webhook", shows_host=True),
    _service("signal_api", "signal signals", "to from batch status", shows_host=True),
    _service("slack", "slack", "to token mode", hosts="hooks.slack.com"),
    _service("telegram", "tgram", "to topic thread silent preview"),
    _service("webexteams", "webex wxteams", "to token mode", hosts="webexapis.com"),
    _service(
        "workflows",
        "workflows workflow",
        "id sig api-version ver wrap pa powerautomate",
        shows_host=True,
        hosts=".logic.azure.com .api.powerplatform.com",
        ignored="sp sv",
    ),
    _service("zulip", "zulip", "to token"),
    # Push messages and SMS
    _service("gotify", "gotify gotifys", "priority", shows_host=True),
    _service("home_assistant", "hassio hassios", "to nid batch prefix", shows_host=True),
    _service("ntfy", "ntfy ntfys", "to priority xtags mode auth token", hosts="ntfy.sh"),
    _service("pushbullet", "pbul", "to"),
    _service("pushover", "pover", "to key priority sound expire interval"),
    _service("clicksend", "clicksend", "to key batch"),
    _service("sinch", "sinch", "to from region spi token"),
    _service("sns", "sns", "to region access secret mode"),
    _service("twilio", "twilio", "to from sid token apikey"),
    _service("vonage", "vonage", "to from key secret ttl"),
    # Incident management
    _service("ilert", "ilert", "key priority route"),
    _service("opsgenie", "opsgenie", "to region priority tags alias entity batch"),
    _service("pagerduty", "pagerduty", "region class group severity"),
    _service("signl4", "signl4", "service location alerting_scenario"),
    _service(
        "splunk",
        "splunk victorops",
        "route routing_key apikey entity_id",
        hosts="alert.victorops.com",
    ),
    # HTTP requests that are not signed
    _service("custom_form", "form forms", shows_host=True),
    _service("custom_json", "json jsons", shows_host=True),
    _service("custom_xml", "xml xmls", shows_host=True),
)
_SERVICES = {scheme: service for service in SERVICES for scheme in service.schemes}


def is_native(url: str) -> bool:
    """Whether a valid URL is an address that a service itself shows, and not one of Apprise."""
    return _find_scheme(url) not in _SERVICES


def find_scheme(url: str) -> str:
    """Returns the scheme that Apprise has for the service of a valid URL."""
    return find_service(url).schemes[0] if is_native(url) else _find_scheme(url)


def find_service(url: str) -> AppriseService:
    """Returns the service of a valid URL."""
    service = _find_service(url)
    if service is None:
        raise ValueError(f"{_find_scheme(url)} is not a scheme of a service")
    return service


def _find_scheme(url: str) -> str:
    return url.partition("://")[0].lower()


def _find_service(url: str) -> AppriseService | None:
    if (scheme := _find_scheme(url)) != "https":
        return _SERVICES.get(scheme)
    address = url.partition("://")[2].lower()
    match = _NATIVE_HOST.fullmatch(re.split("[/?]", address, maxsplit=1)[0])
    if match is None:
        return None
    for service in SERVICES:
        for host in service.hosts:
            if match["host"] == host or (host.startswith(".") and match["host"].endswith(host)):
                return service
    return None


def find_url_error(url: str) -> str | None:
    """Returns what is wrong with a URL. None if the scheme and the parameters are allowed."""
    if len(url) > MAX_URL_CHARACTERS:
        return limit_message(MAX_URL_CHARACTERS, "character", "url", len(url))
    match = _URL.fullmatch(url)
    if match is None or "\\" in url:
        return (
            "The URL must be SERVICE://ADDRESS in visible ASCII characters without spaces and "
            f"backslashes. {DOCUMENTATION} has the format for each service."
        )
    try:
        urlsplit(url)
    except ValueError:
        return f"Invalid address. {DOCUMENTATION} has the format for each service."
    if re.split("[/?]", match["address"], maxsplit=1)[0].count("@") > 1:
        return "Percent-encode @ in the user name and the password as %40."
    service = _find_service(url)
    if service is None:
        return (
            f"Invalid service {quote_value(match['scheme'])}. Use one of "
            f"{', '.join(sorted(each.schemes[0] for each in SERVICES))}, or the https address that "
            f"{', '.join(sorted(each.schemes[0] for each in SERVICES if each.hosts))} show."
        )
    names = service.parameters | service.ignored if is_native(url) else service.parameters
    _, has_query, query = match["address"].partition("?")
    for parameter in _PARAMETER_SEPARATORS.split(query) if has_query else ():
        name = parameter.partition("=")[0]
        if not _PARAMETER.fullmatch(name) or name.lower() not in names:
            allowed = ", ".join(sorted(service.parameters)) or "none"
            return (
                f"The parameter {quote_value(name)} is not allowed. {service.schemes[0]} has: "
                f"{allowed}."
            )
    return None


def format_address(url: str) -> str:
    """Returns the service of a valid URL, and the host and port if they are not secret."""
    scheme, address = _find_scheme(url), url.partition("://")[2]
    # A secret that contains a slash may stand before the @, as in rockets://SECRET/SECRET@HOST.
    is_secret = not is_native(url) and (
        not find_service(url).shows_host or "@" in address.partition("/")[2].partition("?")[0]
    )
    match = None if is_secret else _HOST_AND_PORT.match(address)
    return f"{scheme}://{match['place'].lower() if match else ''}"
