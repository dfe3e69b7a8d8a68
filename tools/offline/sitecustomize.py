"""Cut a Python process, and every Python process that it starts, off from the network.

Put this folder on ``PYTHONPATH``: Python imports ``sitecustomize`` before anything else, and kernels, servers and
test subprocesses inherit the variable. An audit hook then refuses to look up names or to connect, except to the machine
itself. No root is needed, and sockets of other kinds (Unix sockets, ZeroMQ between a kernel and its clients) go on
working.
"""

import importlib.machinery
import importlib.util
import ipaddress
import os
import socket
import sys

MESSAGE = "The network is cut off in tests"
_LOOKUPS = {"socket.getaddrinfo", "socket.gethostbyname"}
_CONNECTIONS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_PROXIES = {"http_proxy", "https_proxy", "ftp_proxy", "all_proxy"}


def _is_local(host: object) -> bool:
    """Tell whether a host is the machine itself; names are never looked up to find out."""
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("ascii", "replace")
    if host is None or host in ("", "localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return str(host).endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def _refuse_network(event: str, arguments: tuple) -> None:
    if event in _LOOKUPS:
        host = arguments[0]
    elif event in _CONNECTIONS:
        connection, address = arguments[:2]
        if connection.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
            return
        host = address[0]
    else:
        return
    if not _is_local(host):
        raise OSError(f"{MESSAGE} (asked for {host})")


def _run_next_sitecustomize() -> None:
    """Run the sitecustomize that this one hides, if there is one."""
    here = os.path.dirname(os.path.abspath(__file__))
    elsewhere = [folder for folder in sys.path if os.path.abspath(folder or os.curdir) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


# A proxy on this machine would be a way out.
for _name in [name for name in os.environ if name.lower() in _PROXIES]:
    del os.environ[_name]
sys.addaudithook(_refuse_network)
_run_next_sitecustomize()
