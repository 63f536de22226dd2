"""Writers in one process, for `benchmarks.faults`: each sends an event again until it is
acknowledged.

The source and source ID of an event stay the same, so that it is stored once. The process reads a
line of JSON that says what to write, and another one to stop. It prints the acknowledged events.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import threading
import time
from collections import Counter
from typing import Any

from benchmarks.processes import KEY

HOST = "127.0.0.1"
PAUSE_SECONDS = 0.02
PATIENCE_SECONDS = 60
LOG = """
mutation ($input: LogEventInput!) {
  logEvent(input: $input) { duplicate event { id } userErrors { message } }
}
"""


def build_event(number: int, source: str, content: str) -> dict[str, Any]:
    """The groups of `faults_subscribers` filter by these attributes. The summary contains the
    time.
    """
    return {
        "type": ("even", "odd")[number % 2],
        "severity": ("error", "warn", "info", "success")[number % 4],
        "summary": f"{number} {time.monotonic()!r}",
        "content": content,
        "source": source,
        "sourceId": str(number),
        "entity": {"type": "Well", "id": f"well-{number // 2 % 2}"},
        "notification": True,
    }


class Writer:
    """Writes the events `first`, `first + step` and so on, until stopped or, with
    `until_refused`, until the connection is refused.
    """

    def __init__(self, instructions: dict[str, Any], first: int, stop: threading.Event) -> None:
        self._told = instructions
        self._first = first
        self._stop = stop
        self._ended = False
        self._http: http.client.HTTPConnection | None = None
        self.acknowledged: list[tuple[int, str, float, float]] = []
        self.met: Counter[str] = Counter()

    def run(self) -> None:
        number = self._first
        begun = time.monotonic()
        while not (self._stop.is_set() or self._ended):
            event_input = build_event(number, self._told["source"], "x" * self._told["content"])
            body = json.dumps({"query": LOG, "variables": {"input": event_input}}).encode()
            self._log_event(number, body)
            number += self._told["writers"]
            due = begun + len(self.acknowledged) * self._told["pause"]
            self._stop.wait(max(0.0, due - time.monotonic()))

    def _log_event(self, number: int, body: bytes) -> None:
        unanswered = 0
        while not self._ended:
            sent = time.monotonic()
            payload = self._send_request(body)
            if payload is not None:
                self.acknowledged.append((number, payload["event"]["id"], sent, time.monotonic()))
                if unanswered:
                    self.met["sent again"] += 1
                    self.met["stored already"] += payload["duplicate"]
                return
            unanswered += 1
            time.sleep(PAUSE_SECONDS)

    def _send_request(self, body: bytes) -> Any:
        """Returns the payload, or None if there is no response or a temporary error."""
        if self._http is None and not self._connect():
            return None
        assert self._http is not None
        try:
            headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
            self._http.request("POST", "/graphql", body, headers)
            response = self._http.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException):
            self.met["cut"] += 1
            self._disconnect()
            return None
        if response.will_close:
            self._disconnect()
        if errors := answer.get("errors"):
            self.met[f"{response.status} {errors[0]['extensions']['code']}"] += 1
            return None
        payload = answer["data"]["logEvent"]
        if payload["event"] is None:
            raise ValueError(payload)
        return payload

    def _connect(self) -> bool:
        port = random.choice(self._told["ports"])
        self._http = http.client.HTTPConnection(HOST, port, timeout=PATIENCE_SECONDS)
        try:
            self._http.connect()
        except OSError:
            self.met["refused"] += 1
            self._ended = self._told["until_refused"]
            self._disconnect()
            return False
        return True

    def _disconnect(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None


def main() -> None:
    instructions = json.loads(sys.stdin.readline())
    stop = threading.Event()
    writers = [Writer(instructions, number, stop) for number in range(instructions["writers"])]
    failures: list[str] = []

    def run(writer: Writer) -> None:
        try:
            writer.run()
        except Exception as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=run, args=(each,)) for each in writers]
    for thread in threads:
        thread.start()
    if not instructions["until_refused"]:
        sys.stdin.readline()
        stop.set()
    for thread in threads:
        thread.join()
    met: Counter[str] = sum((each.met for each in writers), Counter())
    acknowledged = [each for writer in writers for each in writer.acknowledged]
    print(json.dumps({"acknowledged": acknowledged, "met": met, "failures": failures}), flush=True)


if __name__ == "__main__":
    main()
