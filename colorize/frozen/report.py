"""What `scripts.inspect` prints: a table of layers and a list of facts, at 80 columns."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from colorize.frozen.layers import Contents


def print_contents(contents: Contents, title: str) -> None:
    """Layers with their shapes and costs, then the settings."""
    console = Console(width=80, highlight=False, markup=False)
    console.print(title, soft_wrap=True)
    if contents.layers:
        console.print(_layers(contents))
    facts = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(contents):
        facts.add_row(name, value)
    console.print(facts)


def _layers(contents: Contents) -> Table:
    table = Table()
    table.add_column("layer", overflow="fold")
    table.add_column("kind")
    for heading in ("weights", "output", "parameters", "MFLOP"):
        table.add_column(heading, justify="right")
    for layer in contents.layers:
        weight, output = (" ".join(map(str, shape)) for shape in (layer.weight, layer.output))
        cost = f"{layer.flops / 1e6:.1f}"
        table.add_row(layer.name, layer.kind, weight, output, f"{layer.parameters:,}", cost)
    table.add_section()
    parameters = sum(layer.parameters for layer in contents.layers)
    flops = sum(layer.flops for layer in contents.layers)
    table.add_row("all", "", "", "", f"{parameters:,}", f"{flops / 1e6:.1f}")
    return table


def _facts(contents: Contents) -> Iterator[tuple[str, str]]:
    about = contents.about
    bins, training = about["bins"], about["training"]
    size = about["image_size"]
    network = dict(about["network"])
    yield "network", network.pop("name")
    for name, value in network.items():
        yield f"  {name}", _short(value)
    centers = bins["centers"]
    (a_low, a_high), (b_low, b_high) = ((min(axis), max(axis)) for axis in zip(*centers, strict=True))
    yield "bins", f"{len(centers)}, a {a_low:g} to {a_high:g}, b {b_low:g} to {b_high:g}"
    for name, value in bins.items():
        if name != "centers":
            yield f"  {name}", _short(value)
    if about.get("prior"):
        ranked = sorted(zip(about["prior"], centers, strict=True), reverse=True)[:3]
        yield "prior", "; ".join(f"{100 * p:.1f}% at a {a:g}, b {b:g}" for p, (a, b) in ranked)
    yield "temperature", f"{about['temperature']:g}"
    yield "saturation", f"{about['saturation']:g}"
    yield "working size", f"{size} pixels, the shorter side; shapes and FLOPs above are for a square of it"
    for name in ("form", "precision", "opset", "colorize", "torch", "licence"):
        if name in about:
            yield name, _short(about[name])
    if training:
        yield "training", ""
    for name, value in training.items():
        if name == "settings" or (name == "licence" and "licence" in about):
            continue  # the whole configuration: the run's config.yaml has it too
        yield f"  {name}", _short(value)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_short, value))
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_short(inner)}" for key, inner in value.items())
    return "none" if value is None else str(value)
