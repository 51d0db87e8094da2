"""What is measured against what: each work, its sides, and the targets that it is held to."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from benchmark.errors import unknown_name

Setting = str | int

ROUNDS = 5
# The shapes of the works; at another image size or batch the ratios are others.
_BATCH = 16
_GRADCAM = {"Xception": 299, "ResNet50": 224}
_TRAINED = ("MobileNetV2", "ResNet50", "Xception")
_SIDE = 224
_FRAMEWORKS = {"torch": "PyTorch", "keras": "Keras"}


@dataclass(frozen=True)
class Side:
    """One of those that do the same work, in a process of its own.

    Attributes:
        name: as the table calls it.
        code: "module:function", called as `function(settings, scratch)` -> `worker.Prepared`.
        framework: "torch", "keras" or "": what the process runs.
        package: the module of the library that it needs; "": none but ours.
        environment: variables that its process has besides.
    """

    name: str
    code: str
    framework: str = ""
    package: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """That a side of ours is so many times as fast as another one, or stays below a bound.

    Attributes:
        side: ours.
        against: another side; "": the bounds hold.
        times: seconds of the other over seconds of ours, at least.
        seconds: of ours, at most.
        memory: bytes that our process holds at its peak, at most.
    """

    side: str
    against: str = ""
    times: float | None = None
    seconds: float | None = None
    memory: int | None = None


@dataclass(frozen=True)
class Work:
    """One thing that several sides do.

    Attributes:
        what: the group, as `--what` names it.
        name: tells it from every other work.
        title: as the table has it.
        sides: those measured in turns; the results of all are compared with the first one's.
        targets: what is promised of it.
        settings: for the sides, of plain types.
        tolerance: by how much a side's result may differ from the first one's; see `pairing`.
        note: what a reader must know to read the ratio.
    """

    what: str
    name: str
    title: str
    sides: tuple[Side, ...]
    targets: tuple[Target, ...]
    settings: Mapping[str, Setting] = field(default_factory=dict)
    tolerance: float = 1e-3
    note: str = ""


OURS = "DermBench"
FORWARD = "forward pass"
BARE = "bare loop"


def chosen(what: Iterable[str]) -> list[Work]:
    """The works of these groups, and those of these names.

    Raises:
        UserError: there is neither a group nor a work of a name.
    """
    known = GROUPS | {work.name: (work,) for works in GROUPS.values() for work in works}
    found: list[Work] = []
    for name in what:
        if name not in known:
            raise unknown_name("work", name, [*known, GROWTH, COSTS])
        found += known[name]
    return found


def _gradcam() -> Iterator[Work]:
    peers = {
        "torch": (
            _side("pytorch-grad-cam", "gradcam_torch:grad_cam", "torch", "pytorch_grad_cam"),
            _side("torch-cam", "gradcam_torch:torchcam", "torch", "torchcam"),
            _side("captum", "gradcam_torch:captum", "torch", "captum"),
        ),
        "keras": (_side("tf-keras-vis", "gradcam_keras:tf_keras_vis", "keras", "tf_keras_vis"),),
    }
    promised = {"pytorch-grad-cam": 2.0, "tf-keras-vis": 3.5}
    # One library at a time: each holds gigabytes while it waits.
    each = [
        (arch, size, framework, place, peer)
        for framework in _FRAMEWORKS
        for arch, size in _GRADCAM.items()
        for place, peer in enumerate(peers[framework])
    ]
    for arch, size, framework, place, peer in each:
        limit = () if place else (_side(FORWARD, "gradcam:forward", framework),)
        sides = (_side(OURS, "gradcam:ours", framework), *limit, peer)
        targets = [Target(OURS, FORWARD, 1 / 1.1)] if limit else []
        if peer.name in promised:
            targets.append(Target(OURS, peer.name, promised[peer.name]))
        if limit:
            targets.append(Target(FORWARD, peer.name))
        yield Work(
            "gradcam",
            f"gradcam-{arch}-{framework}-{peer.name}",
            f"Grad-CAM, {arch} at {size} px, batch {_BATCH}, {_FRAMEWORKS[framework]}",
            sides,
            tuple(targets),
            {"arch": arch, "size": size, "batch": _BATCH, "framework": framework},
            note="all sides explain one network with the same memory layout and allocator; no"
            " Grad-CAM is faster than the forward pass, whose ratio to a library is the limit",
        )


def _training() -> Iterator[Work]:
    peers = {
        "torch": _side("torch DataLoader + torchvision", "training_torch:loader", "torch"),
        "keras": _side("Keras fit + tf.data", "training_keras:fit", "keras"),
    }
    for framework, called in _FRAMEWORKS.items():
        for arch in _TRAINED:
            peer = peers[framework]
            yield Work(
                "training",
                f"training-{arch}-{framework}",
                f"training epoch, {arch} at {_SIDE} px, batch {_BATCH}, {called}",
                (
                    _side(OURS, "training:ours", framework),
                    _side(BARE, f"training_{framework}:bare", framework),
                    peer,
                ),
                (Target(OURS, BARE, 0.95), Target(OURS, peer.name, 1.0)),
                _steps(arch, framework, 4),
                note="images are JPEG files of 600 x 450 pixels; ours are decoded since the first"
                " epoch, the bare loop's are tensors in memory and not augmented; checkpoints, a"
                " twentieth of a run at most, are left out",
            )


def _pipeline() -> Iterator[Work]:
    first, later = f"{OURS}, first epoch", f"{OURS}, later epochs"
    torch, tensorflow = "torch DataLoader + torchvision v2", "tf.data"
    yield Work(
        "pipeline",
        "pipeline",
        f"input pipeline, JPEG 600 x 450 to augmented batches of {_BATCH} at {_SIDE} px",
        (
            _side(first, "pipeline:first"),
            _side(later, "pipeline:later"),
            _side(torch, "pipeline_torch:loader", "torch", "torchvision"),
            _side(tensorflow, "pipeline_keras:dataset", "keras", "tensorflow"),
        ),
        (
            *(Target(first, other, 1.0) for other in (torch, tensorflow)),
            *(Target(later, other, 3.0) for other in (torch, tensorflow)),
        ),
        {"images": 256, "size": _SIDE, "batch": _BATCH},
        note="the others have two workers; theirs decode every epoch, ours keep what was decoded",
    )


def _inference() -> Iterator[Work]:
    peers = {
        "torch": _side(
            "timm-style validation loop", "inference_torch:loop", "torch", "torchvision"
        ),
        "keras": _side("keras.Model.predict", "inference_keras:predict", "keras"),
    }
    for framework, called in _FRAMEWORKS.items():
        for arch in _TRAINED:
            peer = peers[framework]
            yield Work(
                "inference",
                f"inference-{arch}-{framework}",
                f"test set of 64 images, {arch} at {_SIDE} px, {called}",
                (_side(OURS, "inference:ours", framework), peer),
                (Target(OURS, peer.name, 1.0),),
                {"arch": arch, "size": _SIDE, "framework": framework, "images": 64},
                note="the loop reads JPEG files in two workers; predict has an array in memory;"
                " ours has pixels that were decoded before",
            )


def _bootstrap() -> Iterator[Work]:
    peer = "scipy.stats.bootstrap over scikit-learn"
    for metric, called in (("macro_f1", "macro F1"), ("macro_auc", "macro AUC")):
        yield Work(
            "bootstrap",
            f"bootstrap-{metric}",
            f"bootstrap of {called}, 22 rows x 10,000 resamples, 600 images, 7 classes",
            (
                _side(OURS, "bootstrap:ours"),
                _side(peer, "bootstrap:scipy_over_sklearn"),
            ),
            (Target(OURS, peer, 100.0),),
            {"metric": metric, "rows": 22, "resamples": 10_000, "images": 600, "classes": 7},
            tolerance=1e-9,
            note="the other side does 40 resamples of one row, and its seconds are multiplied",
        )


def _raters() -> Iterator[Work]:
    peer = "PIL loop over pairs"
    yield Work(
        "raters",
        "raters",
        "agreement of annotators, from the masks of every tenth image of DermXDB",
        (_side(OURS, "raters:ours"), _side(peer, "raters:pil_loop")),
        (Target(OURS, peer, 5.0), Target(OURS, memory=2**30)),
        {"dataset": "dermxdb"},
        tolerance=1e-9,
        note="ours computes all of `raters`: characteristics, everyone against the others,"
        " repeated readings, intervals; the loop the F1 of every two annotators alone",
    )


def _allocator() -> Iterator[Work]:
    other = "glibc as it comes"
    # What is said of its allocator, even the usual, is the user's word, and we leave it.
    usual = {"GLIBC_TUNABLES": "glibc.malloc.arena_test=8"}
    for arch, size, done, code in (
        ("Xception", 299, "forward pass", "gradcam:forward"),
        ("Xception", 224, "training steps", "training_torch:bare"),
    ):
        yield Work(
            "allocator",
            f"allocator-{done.split()[0]}",
            f"{done}, {arch} at {size} px, batch {_BATCH}, PyTorch",
            (
                _side(OURS, code, "torch"),
                replace(_side(other, code, "torch"), environment=usual),
            ),
            (),
            _steps(arch, "torch", 2, size),
            note="both sides run the same code; ours keeps the memory that a pass frees, on a CPU"
            " with glibc",
        )


def _compiled() -> Iterator[Work]:
    compilers = {
        "torch": _side("torch.compile", "training_torch:compiled", "torch"),
        "keras": _side("XLA", "training_keras:compiled", "keras"),
    }
    for framework, called in _FRAMEWORKS.items():
        for arch in _TRAINED:
            plain = _side(BARE, f"training_{framework}:bare", framework)
            yield Work(
                "compiled",
                f"compiled-{arch}-{framework}",
                f"training steps, {arch} at {_SIDE} px, batch {_BATCH}, {called}",
                (plain, compilers[framework]),
                (),
                _steps(arch, framework, 2),
                note="below 1, compiling helps; the first time, which compiles, is told apart;"
                " Keras' own fit compiles by XLA unless told otherwise",
            )


def _startup() -> Iterator[Work]:
    for command in ("--help", "list"):
        yield Work(
            "startup",
            f"startup-{command.strip('-')}",
            f"python -m benchmark {command}",
            (
                _side(OURS, "startup:ours"),
                _side("python -c pass", "startup:python"),
            ),
            (Target(OURS, seconds=0.5),),
            {"command": command},
            note="no framework is imported",
        )


def _steps(arch: str, framework: str, batches: int, size: int = _SIDE) -> dict[str, Setting]:
    """The settings of a network that goes through so many batches of images."""
    images = batches * _BATCH
    return {
        "arch": arch,
        "size": size,
        "batch": _BATCH,
        "framework": framework,
        "images": images,
    }


def _side(name: str, code: str, framework: str = "", package: str = "") -> Side:
    return Side(name, f"benchmark.speed.sides.{code}", framework, package)


# What else can be asked for, without sides: `growth` and `costs`.
GROWTH, COSTS = "growth", "costs"
# As typed after --what, in the order of the table.
GROUPS: dict[str, tuple[Work, ...]] = {
    "gradcam": tuple(_gradcam()),
    "training": tuple(_training()),
    "pipeline": tuple(_pipeline()),
    "inference": tuple(_inference()),
    "bootstrap": tuple(_bootstrap()),
    "raters": tuple(_raters()),
    "allocator": tuple(_allocator()),
    "compiled": tuple(_compiled()),
    "startup": tuple(_startup()),
}
