"""The command line: which networks there are, and fetching their weights.

::

    python -m cnnviz_widgets networks           # a table of them all, and where their weights are
    python -m cnnviz_widgets networks resnet    # those with "resnet" in their name
    python -m cnnviz_widgets fetch vgg16        # download weights once, with a progress bar, and check them
"""

import argparse
import os
import sys
from collections.abc import Sequence

from .errors import CnnvizError
from .i18n import _


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns 0, or 1 after a sentence on stderr about what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m cnnviz_widgets", description=_("The networks of the course."))
    commands = parser.add_subparsers(required=True, metavar=_("command"))
    listing = commands.add_parser("networks", help=_("list the networks and where their weights are"))
    listing.add_argument("word", nargs="?", default="", help=_("only networks with this in their name"))
    listing.set_defaults(run=lambda chosen: _list(chosen.word))
    fetching = commands.add_parser("fetch", help=_("download the weights of networks and check them"))
    fetching.add_argument("names", nargs="+", metavar=_("name"), help=_("vgg16, resnet50, timm/resnet18 …"))
    fetching.add_argument("--weights", default="default", help=_("the set of weights, e.g. IMAGENET1K_V1"))
    fetching.set_defaults(run=lambda chosen: _fetch(chosen.names, chosen.weights))
    chosen = parser.parse_args(arguments)
    try:
        return chosen.run(chosen)
    except KeyboardInterrupt:
        print(_("Stopped; of a file that was on its way nothing is kept."), file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _list(word: str) -> int:
    from .networks.weights import known_networks

    networks = [network for network in known_networks() if word.casefold() in network.name]
    if not networks:
        print(_('No network has "{word}" in its name.').format(word=word), file=sys.stderr)
        return 1
    words = {"bundled": _("bundled"), "cached": _("cached: {path}"), "download": _("to be downloaded")}
    rows = [(_("name"), _("year"), _("parameters"), _("MB"), _("weights"))]
    for network in networks:
        where = words[network.where].format(path=network.path)
        rows.append((network.name, str(network.year), f"{network.parameters:,}", f"{network.megabytes:,.0f}", where))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for name, year, parameters, size, where in rows:
        print(f"{name:{widths[0]}}  {year:>{widths[1]}}  {parameters:>{widths[2]}}  {size:>{widths[3]}}  {where}")
    print(_("Any network of timm goes by timm/ and its name. The year is that of the paper or the code."))
    return 0


def _fetch(names: Sequence[str], weights: str) -> int:
    from .networks import fetch

    failures = 0
    for name in names:
        try:
            file = fetch(name, weights)
        except CnnvizError as error:
            print(error, file=sys.stderr)
            failures += 1
        else:
            print(_("{name}: {file}").format(name=name, file=file or _("kept by timm")))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
