"""The options of `python -m dialogpt.web`."""

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from dialogpt.config.decoding import ResponderConfig
from dialogpt.config.shared import require, require_readable

MOST_WAITING = 24
"""Each message that waits keeps a thread of the server busy; it has 40."""


@dataclass(frozen=True, kw_only=True)
class WebConfig(ResponderConfig):
    """A web page for talking to the model, for this machine unless --host says otherwise."""

    host: str = "127.0.0.1"
    """Address to listen at. Anything but a loopback address lets other machines in."""
    port: int = 7860
    """Port to listen at; 0 takes a free one."""
    max_message_chars: int = 1000
    """Longest message that is answered, in characters."""
    messages_per_minute: int = 20
    """Messages that one address may send in any minute."""
    max_waiting: int = 8
    """Messages that wait while the model answers another; more are turned away."""
    max_turns: int = 100
    """Turns of a conversation that are kept and shown; the oldest go first."""
    max_samples: int = 16
    """Most candidates a visitor may ask for; the upper end of the slider."""
    max_connections: int = 256
    """Connections at once; an open page holds one or two. More are turned away."""
    trusted_proxy: str = ""
    """Address, or network such as 10.0.0.0/8, of a proxy in front of this server, whose word counts
    on who the client is. Empty: no such word counts."""
    knowledge: tuple[str, ...] = ()
    """Sentences that every reply may draw on, such as a persona; a PLATO reads them. The page shows
    them."""
    transcript: str = ""
    """JSON Lines file that every context and its candidates are appended to; the page says so.
    Empty: nothing that is typed is stored."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_readable("knowledge", self.knowledge)
        require(bool(self.host), "host must not be empty; 0.0.0.0 listens at every address")
        require(0 <= self.port <= 65535, "port must lie in [0, 65535]")
        require(self.max_message_chars >= 1, "max_message_chars must be >= 1")
        require(self.messages_per_minute >= 1, "messages_per_minute must be >= 1")
        require(
            0 <= self.max_waiting <= MOST_WAITING, f"max_waiting must lie in [0, {MOST_WAITING}]"
        )
        require(self.max_turns >= 2, "max_turns must be >= 2")
        require(self.max_samples >= 1, "max_samples must be >= 1")
        require(self.max_connections >= 1, "max_connections must be >= 1")
        if self.trusted_proxy:
            try:
                ip_network(self.trusted_proxy)
            except ValueError as error:
                raise ValueError(
                    f"trusted_proxy must be an address or a network, got {self.trusted_proxy!r}"
                ) from error

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the page."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:  # a name, which may lead anywhere
            return False
