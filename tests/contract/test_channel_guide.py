"""The guide about channels: its examples reach receivers, and its table has every service."""

from __future__ import annotations

from pathlib import Path

from standardwebhooks.webhooks import Webhook

from app.domain.channels.apprise_urls import SERVICES
from app.domain.channels.channels import ChannelTrigger
from app.domain.channels.texts import build_text
from tests.client import Client
from tests.contract.doc_examples import parse_blocks
from tests.domain.test_channel_texts import build_data
from tests.mail_server import receive_mail
from tests.webhook_receiver import receive_webhooks

PAGE = (Path(__file__).parents[2] / "docs/guides/channels.md").read_text()


def find_block(name: str) -> str:
    [body] = [block.body for block in parse_blocks(PAGE) if f"mutation {name}" in block.body]
    return body


async def test_the_examples_for_a_web_hook_and_email_reach_a_local_receiver(
    client: Client,
) -> None:
    async with receive_webhooks() as receiver, receive_mail() as mail:
        local = f"http://127.0.0.1:{receiver.port}"
        hook = find_block("CreateChannel").replace("https://hooks.example.com", local)
        account = "mailtos://tocsin:8c1f@mail.example.com"
        email = find_block("CreateEmailChannel").replace(account, f"mailto://127.0.0.1:{mail.port}")
        created = await client.execute_field(hook)
        mail_channel = await client.execute_field(email)

        for each in (created, mail_channel):
            sent = await client.execute_field(
                find_block("TestChannel"), channelId=each["channel"]["id"]
            )
            assert sent["delivery"]["state"] == "DELIVERED"

    [request] = receiver.requests
    message = Webhook(created["secret"]).verify(request.body, request.headers)
    assert (request.path, message["type"]) == ("/tocsin?token=8c1f", "tocsin.channel.test")
    assert mail.recipients == [["team@example.com"]]
    assert mail.emails[0]["subject"] == "Test of the channel Incidents by email"


def test_the_example_of_a_message_is_what_is_sent() -> None:
    [shown] = [block.body for block in parse_blocks(PAGE) if block.language == "text"]
    event = build_data(
        id="019a3f5c-7b1e-7000-8000-000000000b01",
        severity="ERROR",
        summary="Pump stopped",
        content="No pressure since 10:00.",
        source="pump-7",
        entity={"type": "Pump", "id": "P-7"},
    )
    others = [build_data(source="pump-7") for _ in range(12)]
    messages = [(ChannelTrigger.NOTIFICATION_ADDED, each) for each in (event, *others)]

    text = build_text(messages, "https://tocsin.example.com")

    assert shown == f"{text.title}\n\n{text.body}\n"


def test_the_table_has_every_service_and_parameter() -> None:
    rows = [
        f"| {', '.join(f'`{each}`' for each in service.schemes)} | "
        f"{', '.join(f'`{each}`' for each in sorted(service.parameters)) or 'none'} |"
        for service in SERVICES
    ]

    assert "\n".join(rows) in PAGE
