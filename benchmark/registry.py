"""Names to things: tasks, methods, data sets and explainers, built in or from elsewhere.

A built-in is a "module:attribute" string, imported when it is first asked for, so that `list` and
`--help` load nothing heavy. Other packages add their own through entry points of the group
`dermbench.<kind>s`, single files through `benchmark.plugins`. The eleven architectures have a
catalogue of their own (`architectures.names()`); here are those that others add.
"""

import hashlib
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, ClassVar, get_origin

from benchmark.errors import UserError, may_be_added, unknown_name

# Before the digest of a file; a package has a version there.
DIGEST = "sha256 "


class Registry:
    """One kind of named thing, each loaded on first use."""

    def __init__(self, kind: str, base: str, builtin: dict[str, str]) -> None:
        """Nothing is imported yet.

        Args:
            kind: what a user calls it.
            base: "module:attribute" of the class that a thing is a subclass of; a data set's layout
                is an instance.
            builtin: name to "module:attribute".
        """
        self.kind = kind
        self._base = base
        self._builtin = builtin
        self._loaded: dict[str, Any] = {}
        self._files: dict[str, Path] = {}

    def names(self) -> list[str]:
        """Every registered name: built-ins in their own order, then the others by name."""
        return [*self._builtin, *sorted({*self._external, *self._files})]

    def add(self, name: str, thing: Any, file: Path) -> None:
        """Register what a single file has.

        Raises:
            UserError: the name is taken, or the thing calls itself otherwise or is not complete.
        """
        if name in self.names():
            raise UserError(f"plugin {file}: there is a {self.kind} {name!r} already: rename yours")
        self._loaded[name], self._files[name] = self._sound(name, thing, f"plugin {file}"), file

    def _sound(self, name: str, thing: Any, where: str) -> Any:
        """The thing, where it can be what it is registered as."""
        module, attribute = self._base.split(":")
        base = getattr(import_module(module), attribute)
        if self.kind == "dataset":
            fits, wanted = isinstance(thing, base), f"a {module}.{attribute}"
        else:
            fits = isinstance(thing, type) and issubclass(thing, base)
            wanted = f"a class of {module}.{attribute}"
        if not fits:
            raise UserError(f"{where}: {self.kind} {name!r} is {thing!r}, expected {wanted}")
        # A data set's layout has no name of its own.
        if getattr(thing, "name", name) != name:
            raise UserError(
                f"{where}: {self.kind} {name!r} calls itself {thing.name!r}: use one name"
            )
        lacking = sorted({*getattr(thing, "__abstractmethods__", ()), *_unset(thing)})
        if lacking:
            raise UserError(f"{where}: {self.kind} {name!r} lacks {', '.join(lacking)}: write it")
        return thing

    def origin(self, name: str) -> dict[str, str]:
        """Where a thing that is not built in comes from, for a record: {} for a built-in.

        Package to version, or the name of a file to its SHA-256.
        """
        if name in self._files:
            file = self._files[name]
            return {file.name: DIGEST + hashlib.sha256(file.read_bytes()).hexdigest()}
        entry = self._external.get(name)
        return {entry.dist.name: entry.dist.version} if entry and entry.dist else {}

    def get(self, name: str) -> Any:
        """The thing registered as `name`.

        Raises:
            UserError: no such name, or its package cannot be imported or is not complete.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> Any:
        if name in self._builtin:
            module, attribute = self._builtin[name].split(":")
            return getattr(import_module(module), attribute)
        if name not in self._external:
            raise self._unknown(name)
        entry = self._external[name]
        try:
            thing = entry.load()
        except (ImportError, AttributeError) as error:
            raise UserError(
                f"{self.kind} {name!r} is announced by {entry.value} but cannot be loaded: {error}"
            ) from error
        return self._sound(name, thing, entry.value)

    def _unknown(self, name: str) -> UserError:
        word, colon, folder = name.partition(":")
        if self.kind == "dataset" and colon and word in self.names():
            # As a grid takes it, and --pretrain-on.
            return UserError(
                f"unknown dataset {name!r}: here the folder has an option of its own, --dataset"
                f" {word} --data-dir {folder or 'DIR'}"
            )
        return may_be_added(unknown_name(self.kind, name, self.names()))

    @cached_property
    def _external(self) -> dict[str, EntryPoint]:
        found: dict[str, EntryPoint] = {}
        for entry in entry_points(group=f"dermbench.{self.kind}s"):
            if entry.name in self._builtin or entry.name in found:
                raise UserError(
                    f"two packages register the {self.kind} {entry.name!r} ({entry.value} is the"
                    " second): uninstall one of them"
                )
            found[entry.name] = entry
        return found


def _unset(thing: Any) -> list[str]:
    """The class attributes that it or a class above it only declares."""
    declared = {
        name
        for each in getattr(thing, "__mro__", ())
        for name, kind in vars(each).get("__annotations__", {}).items()
        if get_origin(kind) is ClassVar
    }
    return [name for name in declared if not hasattr(thing, name)]


TASKS = Registry(
    "task",
    "tasks.base:Task",
    {
        "diagnosis": "tasks.diagnosis:Diagnosis",
        "explainability": "tasks.explainability:Explainability",
        "grading": "tasks.grading:Grading",
        "imbalance": "tasks.imbalance:Imbalance",
        "semi-supervised": "tasks.semi_supervised:SemiSupervised",
    },
)

# Classes of `architectures.backbone.Backbone`; what is resolved is `architectures.find`.
ADDED_ARCHITECTURES = Registry("architecture", "architectures.backbone:Backbone", {})

METHODS = Registry(
    "method",
    "benchmark.methods.base:Method",
    {
        "cross-entropy": "benchmark.methods.cross_entropy:CrossEntropy",
        "class-weighted": "benchmark.methods.class_weighted:ClassWeighted",
        "class-balanced": "benchmark.methods.class_balanced:ClassBalanced",
        "focal": "benchmark.methods.focal:Focal",
        "ldam-drw": "benchmark.methods.ldam_drw:LdamDrw",
        "balanced-softmax": "benchmark.methods.balanced_softmax:BalancedSoftmax",
        "logit-adjustment": "benchmark.methods.logit_adjustment:LogitAdjustment",
        "oversampling": "benchmark.methods.oversampling:Oversampling",
        "mixup": "benchmark.methods.mixup:Mixup",
        "crt": "benchmark.methods.crt:Crt",
        "tau-norm": "benchmark.methods.tau_norm:TauNorm",
        "supercon": "benchmark.methods.supercon:SuperCon",
        "supercon-as-released": "benchmark.methods.supercon:SuperConAsReleased",
        "supervised": "benchmark.methods.supervised:Supervised",
        "pseudo-label": "benchmark.methods.pseudo_label:PseudoLabel",
        "mean-teacher": "benchmark.methods.mean_teacher:MeanTeacher",
        "fixmatch": "benchmark.methods.fixmatch:FixMatch",
        "crest": "benchmark.methods.self_training:Crest",
        "crest+": "benchmark.methods.self_training:CrestPlus",
        "isdl": "benchmark.methods.isdl:Isdl",
        "isdl-plus": "benchmark.methods.isdl:IsdlPlus",
        "src-mt": "benchmark.methods.src_mt:SrcMt",
        "srcl-joint": "benchmark.methods.srcl:SrclJoint",
        "srcl-pretrain": "benchmark.methods.srcl:SrclPretrain",
        "single-task": "benchmark.methods.single_task:SingleTask",
        "multi-task": "benchmark.methods.multi_task:MultiTask",
        "distillation": "benchmark.methods.distillation:Distillation",
        "sall": "benchmark.methods.sall:Sall",
        "checkpoint": "benchmark.methods.checkpoint:Checkpoint",
    },
)

EXPLAINERS = Registry(
    "explainer",
    "benchmark.explain.base:Explainer",
    {
        "gradcam": "benchmark.explain.gradcam:GradCam",
        "gradcam++": "benchmark.explain.cams:GradCamPlusPlus",
        "layercam": "benchmark.explain.cams:LayerCam",
        "scorecam": "benchmark.explain.cams:ScoreCam",
        "integrated-gradients": "benchmark.explain.pixels:IntegratedGradients",
        "smoothgrad": "benchmark.explain.pixels:SmoothGrad",
        "occlusion": "benchmark.explain.pixels:Occlusion",
        "shap": "benchmark.explain.shap_explainer:Shap",
    },
)

DATASETS = Registry(
    "dataset",
    "benchmark.data.layouts:Layout",
    {
        "synthetic": "benchmark.data.synthetic:SYNTHETIC",
        "isic2018": "benchmark.data.layouts.isic2018:ISIC2018",
        "dermxdb": "benchmark.data.layouts.dermxdb:DERMXDB",
        "medmnist": "benchmark.data.layouts.medmnist:MEDMNIST",
        "folder": "benchmark.data.layouts.folder:FOLDER",
        "synthetic-fundus": "benchmark.data.synthetic.fundus:SYNTHETIC_FUNDUS",
        "idrid": "benchmark.data.layouts.idrid:IDRID",
        "multi-disease": "benchmark.data.layouts.multi_disease:MULTI_DISEASE",
    },
)
