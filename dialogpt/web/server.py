"""The server: a socket, the guard, and Gradio behind it."""

import logging
import os
import socket
from ipaddress import ip_address
from types import FrameType

import fastapi
import gradio as gr
import uvicorn

from dialogpt.command_line import UserError
from dialogpt.config.web import WebConfig
from dialogpt.web.guard import LOOPBACK_NAMES, Guard
from dialogpt.web.page import look


def listen(config: WebConfig) -> socket.socket:
    """A socket that listens where the configuration says.

    Raises:
        UserError: the address is not one of this machine's, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family)
    except OSError as error:
        # Python's own words repeat the address; a name that leads nowhere has no number.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror
        raise UserError(
            f"--host {config.host} --port {config.port}: cannot listen there ({reason}); "
            "name another --port (0 takes a free one) or an address of this machine"
        ) from error


def address_of(listener: socket.socket) -> str:
    """The address to type into a browser on this machine."""
    host, port = listener.getsockname()[:2]
    if ip_address(host).is_unspecified:
        host = "127.0.0.1"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def build_server(config: WebConfig, page: gr.Blocks) -> uvicorn.Server:
    """A server of the page; `run(sockets=[...])` serves until it is told to stop."""
    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app = gr.mount_gradio_app(
        app,
        page,
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        pwa=False,
        **look(),
    )
    has_proxy = bool(config.trusted_proxy)
    guard = Guard(
        app,
        # Behind a proxy, the name is the proxy's to check.
        allowed_hosts=LOOPBACK_NAMES if config.is_loopback and not has_proxy else None,
        trusts_forwarding=has_proxy,
    )
    server = uvicorn.Server(
        uvicorn.Config(
            guard,
            proxy_headers=has_proxy,
            forwarded_allow_ips=config.trusted_proxy,
            limit_concurrency=config.max_connections,
            ws="none",
            lifespan="on",
            access_log=False,  # it has addresses
            log_level="warning",
            server_header=False,
        )
    )
    _stop_at_once(server)
    return server


def _stop_at_once(server: uvicorn.Server) -> None:
    """Let Ctrl-C end the server although open pages hold connections that never end."""
    handle_exit = server.handle_exit

    def stop(signal_number: int, frame: FrameType | None) -> None:
        # That those connections are cut is no error.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        server.force_exit = True
        handle_exit(signal_number, frame)

    server.handle_exit = stop
