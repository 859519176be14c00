"""What a visitor may ask of the server, and how often; nothing here knows of a web page."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address
from math import ceil

_WINDOW_SECONDS = 60.0
_MOST_CLIENTS = 10_000
# Addresses remembered at once. Who has been silent for longest is forgotten first.
_IPV6_PREFIX = 64
# A household or a rented server has at least so many of IPv6's 128 bits to itself.


class RefusalError(Exception):
    """Why a message is not answered, in words for the visitor."""


class RateLimiter:
    """At most so many messages of one client in any minute.

    Args:
        messages_per_minute: how many.
        clock: seconds that never run backwards.
    """

    def __init__(
        self, messages_per_minute: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = messages_per_minute
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, client: str) -> None:
        """Count a message of the client.

        Args:
            client: its address; addresses of one IPv6 /64 count as one client.

        Raises:
            RefusalError: the last minute is used up; says how long to wait.
        """
        with self._lock:
            now = self._clock()
            times = self._times.setdefault(client_key(client), deque(maxlen=self._limit))
            self._times.move_to_end(client_key(client))
            while len(self._times) > _MOST_CLIENTS:
                self._times.popitem(last=False)
            wait = times[0] + _WINDOW_SECONDS - now if len(times) == self._limit else 0.0
            if wait > 0.0:
                raise RefusalError(
                    f"Too many messages (the limit is {self._limit} a minute). Please try again in "
                    f"{ceil(wait)} s."
                )
            times.append(now)  # the oldest falls out


def client_key(address: str) -> str:
    """What stands for a client: its address, of an IPv6 address the network."""
    try:
        parsed = ip_address(address)
    except ValueError:  # a socket file, or a test
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return f"{IPv6Address(int(parsed) >> _IPV6_PREFIX << _IPV6_PREFIX)}/{_IPV6_PREFIX}"
    return str(parsed)


class ModelGate:
    """Lets one caller at a time to the model, and a bounded number of others wait.

    Args:
        max_waiting: how many.
    """

    def __init__(self, max_waiting: int) -> None:
        self._max_inside = 1 + max_waiting
        self._num_inside = 0
        self._counting = threading.Lock()
        self._model = threading.Lock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the model, have it for the length of the block, and leave it to the next.

        Raises:
            RefusalError: too many wait already; at once.
        """
        with self._counting:
            if self._num_inside >= self._max_inside:
                raise RefusalError(
                    "The model is busy, and enough messages are waiting. Please try again soon."
                )
            self._num_inside += 1
        try:
            with self._model:
                yield
        finally:
            with self._counting:
                self._num_inside -= 1
