"""python -m dialogpt.web: a page to talk to the model."""

import importlib.util
import logging
import os
import sys
from pathlib import Path

from dialogpt.command_line import UserError, parse_config, run_command
from dialogpt.config.web import WebConfig


def main() -> None:
    """Parse the command line and serve."""
    config, _ = parse_config(WebConfig, prog="python -m dialogpt.web")
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    # The libraries behind the page log addresses of what they fetch.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    run_command(lambda: serve(config))


def serve(config: WebConfig) -> None:
    """Load the models and serve the page until Ctrl-C.

    Raises:
        UserError: Gradio is not installed, the port is taken, or a model cannot be had.
    """
    if importlib.util.find_spec("gradio") is None:
        raise UserError(
            "the web page needs Gradio; `pip install 'dialogpt[web]'` (in a checkout "
            "`.venv/bin/pip install -c constraints.txt -e '.[web]'`)"
        )
    # Read when Gradio is imported, so before that.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    from dialogpt.web.card import model_card
    from dialogpt.web.models import load_page_models
    from dialogpt.web.page import build_page
    from dialogpt.web.server import address_of, build_server, listen
    from dialogpt.web.talk import Service
    from dialogpt.web.transcript import transcript_writer

    # What can be wrong with the port and the file is found before the models are loaded.
    listener = listen(config)
    keep_in = Path(config.transcript) if config.transcript else None
    models = load_page_models(config)
    keep = transcript_writer(keep_in, settings=models.settings_of) if keep_in else None
    page = build_page(
        config,
        Service(config, models.replies, keep=keep),
        limits=models.limits,
        card=model_card(models.responder.forward),
        has_mmi=models.mmi is not None,
    )
    if not config.is_loopback:
        print(
            f"WARNING: --host {config.host} lets other machines talk to the model, without a "
            "password and without encryption. docs/web.md says how to put it behind a proxy.",
            file=sys.stderr,
        )
    if keep_in:
        print(f"Conversations are stored in {keep_in}; the page says so.", file=sys.stderr)
    print(f"Open {address_of(listener)} (Ctrl-C ends it)", file=sys.stderr)
    build_server(config, page).run(sockets=[listener])


if __name__ == "__main__":
    main()
