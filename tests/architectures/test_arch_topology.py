"""The layers that timm builds: a release that changes a topology fails here.

topology.tsv holds, per architecture, a digest of every module's class, settings and tensors: of the
"twin", after our mends, and of "stock", the network of weights="timm", with timm's choice of
weights. What a timm module does in its `forward` is not seen here: for the twins the stored
features of test_arch_reference.py see it; for the stock networks nothing does.

`python tests/architectures/test_arch_topology.py` makes the file anew.
"""

import hashlib
import importlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import architectures

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
torch_nets = importlib.import_module("architectures.torch_nets")

FILE = Path(__file__).with_name("topology.tsv")
COMMAND = f"python tests/architectures/{Path(__file__).name}"

# What decides the function of a layer or block, whatever its class. Not repr(), which moves with
# releases of torch.
SETTINGS = (
    "kernel_size",
    "stride",
    "padding",
    "dilation",
    "groups",
    "padding_mode",
    "value",
    "output_size",
    "ceil_mode",
    "count_include_pad",
    "divisor_override",
    "eps",
    "momentum",
    "scale",
    "has_skip",
    "p",
    "drop_prob",
    "drop_rate",
)

KINDS = [
    (row.name, kind)
    for row in architectures.ARCHITECTURES
    for kind in ("twin", "stock")
    if kind == "twin" or row.timm is not None
]


def built(arch, kind):
    """The network up to the Grad-CAM map, and what comes with it from timm."""
    row = architectures.find(arch)
    if kind == "twin":
        return torch_nets._twin(row)[1], []
    net = timm.create_model(row.timm, num_classes=0)
    # Which weights are timm's choice, and the preprocessing that belongs to them.
    choice = [f"{key}={net.pretrained_cfg[key]}" for key in ("tag", "mean", "std")]
    return torch_nets._up_to_map(row, net), choice


def listing(net) -> Iterator[str]:
    """A line per module with its class and settings, then a line per tensor with its shape."""
    for path, module in net.named_modules():
        found = {name: setting(getattr(module, name, None)) for name in SETTINGS}
        settings = (f"{name}={value}" for name, value in found.items() if value is not None)
        yield " ".join((path, type(module).__name__, *settings))
    # Not state_dict(), which leaves out the constant gammas of the Inceptions.
    for kind, tensors in (("parameter", net.named_parameters()), ("buffer", net.named_buffers())):
        for path, tensor in tensors:
            yield f"{path} {kind} {tuple(tensor.shape)}"


def setting(value) -> str | None:
    """Numbers rounded, (3, 3) as 3; None for what is no setting, such as a method."""
    if isinstance(value, tuple | list):
        parts = [setting(part) for part in value]
        return str(parts[0] if len(set(parts)) == 1 else parts)
    if isinstance(value, bool | str):
        return str(value)
    return f"{value:.9g}" if isinstance(value, int | float) else None


def summary(arch, kind) -> list[str]:
    """A row of the file: architecture, kind, number of tensors and of parameters, digest."""
    net, choice = built(arch, kind)
    tensors = sum(1 for _ in (*net.parameters(), *net.buffers()))
    parameters = sum(parameter.numel() for parameter in net.parameters())
    digest = hashlib.sha256("\n".join([*choice, *listing(net)]).encode()).hexdigest()
    return [arch, kind, str(tensors), str(parameters), digest]


def read() -> tuple[str, dict[tuple[str, str], list[str]]]:
    """The timm that made the file, and its rows."""
    version, _, *lines = FILE.read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    return version.removeprefix("# "), {(row[0], row[1]): row for row in rows}


def test_the_file_names_each_network_once():
    assert list(read()[1]) == KINDS


@pytest.mark.parametrize(("arch", "kind"), KINDS)
def test_timm_builds_the_recorded_layers(arch, kind):
    version, rows = read()
    found = summary(arch, kind)
    assert found == rows[arch, kind], (
        f"the layers of {arch} ({kind}) under timm {timm.__version__} are not those recorded with"
        f" {version}. Run pytest tests/architectures and pytest -m slow tests/architectures: if"
        f" all else passes, the function is still Keras', so make the file anew ({COMMAND});"
        " if not, mend architectures/torch_mends.py or lower timm's upper bound in pyproject.toml"
    )


CONV = partial(torch.nn.Conv2d, 4, 4, 3)
POOL = partial(torch.nn.AvgPool2d, 3, 1, 1)
NORM = partial(torch.nn.BatchNorm2d, 4)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (CONV(), CONV(stride=2)),
        (CONV(), CONV(padding=1)),
        (CONV(), CONV(padding=(0, 1))),
        (CONV(), CONV(dilation=2)),
        (CONV(), CONV(bias=False)),
        (POOL(), POOL(count_include_pad=False)),
        (POOL(), POOL(ceil_mode=True)),
        (POOL(), torch.nn.MaxPool2d(3, 1, 1)),
        (NORM(), NORM(eps=1.001e-5)),
        (NORM(), NORM(momentum=0.01)),
        (torch.nn.ConstantPad2d(1, 0.0), torch.nn.ConstantPad2d(1, float("-inf"))),
        (torch.nn.ReLU(), torch.nn.ReLU6()),
        (torch.nn.Dropout(0.1), torch.nn.Dropout(0.2)),
    ],
    ids=str,
)
def test_layers_of_another_function_are_listed_differently(one, other):
    assert list(listing(torch.nn.Sequential(one))) != list(listing(torch.nn.Sequential(other)))


if __name__ == "__main__":
    head = [f"# timm {timm.__version__}", "# architecture, kind, tensors, parameters, digest"]
    FILE.write_text("\n".join([*head, *("\t".join(summary(*key)) for key in KINDS), ""]), "utf-8")
