"""The options of a conversation in the terminal."""

from dataclasses import dataclass

from dialogpt.config.decoding import ResponderConfig
from dialogpt.config.shared import require, require_readable
from dialogpt.text import clean_turn


@dataclass(frozen=True, kw_only=True)
class ChatConfig(ResponderConfig):
    """A conversation with the model in the terminal, or of the model with itself."""

    self: bool = False
    """Let the model talk to itself, beginning with the prompt; nothing is typed."""
    prompt: str = ""
    """First turn of a conversation of the model with itself."""
    num_turns: int = 10
    """Turns that the model adds to the prompt when it talks to itself."""
    knowledge: tuple[str, ...] = ()
    """Sentences that the replies may draw on, such as a persona or a caption; a PLATO reads them.
    /knowledge shows and changes them."""
    output: str = ""
    """JSON Lines file for the transcript of --self, with its settings and seed; empty prints it
    only. In a conversation with you, /save writes such a file."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.num_turns >= 1, "num_turns must be >= 1")
        require_readable("knowledge", self.knowledge)
        if self.self:
            require(bool(clean_turn(self.prompt)), "--self needs a --prompt of readable text")
        else:
            require(not self.prompt, "--prompt goes with --self; otherwise you type the first turn")
            require(not self.output, "--output goes with --self; otherwise /save writes a file")
