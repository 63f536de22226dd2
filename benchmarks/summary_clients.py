"""Many subscribers of live summaries in one process, for `benchmarks.fanout_summaries`.

Reads a line of JSON that says what to open. Prints a line when all have their first summary, and
one when all have the expected number: the messages in between, and the time of each subscriber.
"""

from __future__ import annotations

import json
import select
import sys
import time

from benchmarks.frames import PONG, Socket


def main() -> None:
    instructions = json.loads(sys.stdin.readline())
    poll = select.epoll()
    sockets: dict[int, Socket] = {}
    for _ in range(instructions["sockets"]):
        socket = Socket((instructions["host"], instructions["port"]))
        socket.start_subscription(instructions["init"], {"query": instructions["query"]})
        sockets[socket.socket.fileno()] = socket
        poll.register(socket.socket, select.EPOLLIN)
    waiting, messages = set(sockets), 0
    times: dict[int, float] = {}
    while len(times) < len(sockets):
        for number, _ in poll.poll():
            for message in sockets[number].receive():
                if message["type"] == "ping":
                    sockets[number].send(PONG)
                    continue
                if message["type"] != "next" or "errors" in message["payload"]:
                    raise SystemExit(f"Not a summary: {message}")
                summary = message["payload"]["data"]["notificationSummaryChanged"]
                if number in waiting:
                    waiting.discard(number)
                    if not waiting:
                        print(json.dumps("subscribed"), flush=True)
                    continue
                messages += 1
                if summary["openCount"] == instructions["expected"]:
                    times[number] = time.monotonic()
    print(json.dumps({"messages": messages, "times": list(times.values())}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
