"""Which addresses Apprise may send to: services that are reached by HTTP or email.

Only these schemes and parameters are allowed. Others read files, run programs of the server or talk
to its desktop, attach files, load templates and keys, or replace the format and the time limits.
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


@dataclass(frozen=True)
class AppriseService:
    """`module`: that of Apprise. `schemes`: of the URL. `parameters`: of its query.

    `shows_host`: whether the host of the address is one. For other services, it is a secret.
    """

    module: str
    schemes: tuple[str, ...]
    parameters: frozenset[str] = frozenset()
    shows_host: bool = False


def _service(
    module: str, schemes: str, parameters: str = "", *, shows_host: bool = False
) -> AppriseService:
    return AppriseService(module, tuple(schemes.split()), frozenset(parameters.split()), shows_host)


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
    _service("discord", "discord", "thread ping"),
    _service("feishu", "feishu", "token"),
    _service("google_chat", "gchat", "workspace key token thread"),
    _service("lark", "lark"),
    _service("line", "line", "to"),
    _service("matrix", "matrix matrixs", "to mode token version msgtype"),
    _service(
        "mattermost", "mmost mmosts", "to channel channels botname team mode", shows_host=True
    ),
    _service("nextcloudtalk", "nctalk nctalks", "secret silent", shows_host=True),
    _service("rocketchat", "rocket rockets", "to mode webhook", shows_host=True),
    _service("signal_api", "signal signals", "to from batch status", shows_host=True),
    _service("slack", "slack", "to token mode"),
    _service("telegram", "tgram", "to topic thread silent preview"),
    _service("webexteams", "webex wxteams", "to token mode"),
    _service(
        "workflows",
        "workflows workflow",
        "id sig api-version ver wrap pa powerautomate",
        shows_host=True,
    ),
    _service("zulip", "zulip", "to token"),
    # Push messages and SMS
    _service("gotify", "gotify gotifys", "priority", shows_host=True),
    _service("home_assistant", "hassio hassios", "to nid batch prefix", shows_host=True),
    _service("ntfy", "ntfy ntfys", "to priority xtags mode auth token"),
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
    _service("splunk", "splunk victorops", "route routing_key apikey entity_id"),
    # HTTP requests that are not signed
    _service("custom_form", "form forms", shows_host=True),
    _service("custom_json", "json jsons", shows_host=True),
    _service("custom_xml", "xml xmls", shows_host=True),
)
_SERVICES = {scheme: service for service in SERVICES for scheme in service.schemes}


def find_scheme(url: str) -> str:
    """Returns the scheme of a valid URL."""
    return url.partition("://")[0].lower()


def find_service(url: str) -> AppriseService:
    """Returns the service of a valid URL."""
    return _SERVICES[find_scheme(url)]


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
    service = _SERVICES.get(match["scheme"].lower())
    if service is None:
        return (
            f"Invalid service {quote_value(match['scheme'])}. Use one of "
            f"{', '.join(sorted(each.schemes[0] for each in SERVICES))}."
        )
    _, has_query, query = match["address"].partition("?")
    for parameter in _PARAMETER_SEPARATORS.split(query) if has_query else ():
        name = parameter.partition("=")[0]
        if not _PARAMETER.fullmatch(name) or name.lower() not in service.parameters:
            allowed = ", ".join(sorted(service.parameters)) or "none"
            return (
                f"The parameter {quote_value(name)} is not allowed. {service.schemes[0]} has: "
                f"{allowed}."
            )
    return None


def format_address(url: str) -> str:
    """Returns the service of a valid URL, and the host and port if they are not secret."""
    scheme, address = find_scheme(url), url.partition("://")[2]
    # A secret that contains a slash may stand before the @, as in rockets://SECRET/SECRET@HOST.
    is_secret = (
        not _SERVICES[scheme].shows_host or "@" in address.partition("/")[2].partition("?")[0]
    )
    match = None if is_secret else _HOST_AND_PORT.match(address)
    return f"{scheme}://{match['place'].lower() if match else ''}"
