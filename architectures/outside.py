"""Networks outside the eleven: `timm:NAME` and `keras:NAME`, any classifier of either library, and
those that others add, see `backbone`.

Such a network has no counterpart in the other framework that is the same function. No framework is
imported here; what the library says of the network is read when it is built, by `outside_torch` and
`outside_keras`.
"""

from dataclasses import dataclass

from architectures import catalogue
from architectures.architecture import Architecture, PaperSettings
from architectures.backbone import Backbone
from benchmark.errors import UserError, unknown_name
from benchmark.registry import ADDED_ARCHITECTURES

FRAMEWORK_OF = {"timm": "torch", "keras": "keras"}

# A side that leaves most networks a map of 3x3 or more (ours): what a network can do with an image
# is known only when it is built.
_USUAL_SIDE = 96
# None of them is in the DermXDB benchmark; its published maps take the slope of the probability.
_NO_PAPER = PaperSettings(
    (224, 224), 0, 0, 0, (1, 1), 0, "", 0, ("pool", "dense"), None, None, None
)


@dataclass(frozen=True)
class Outside(Architecture):
    """A network that a library has, by the library's name for it, or that somebody added.

    Attributes:
        library: "timm" or "keras"; "" of an added one.
        model: what the library calls it.
        own: what was added.
        cam_layer: the module (timm) or layer (Keras) whose output Grad-CAM explains; "": the last
            that timm's feature info names, or the output of the Keras network without top.
    """

    library: str = ""
    model: str = ""
    own: Backbone | None = None
    cam_layer: str = ""

    @property
    def least_size(self) -> int:
        """A usual side: what is too small is refused when the network is built."""
        return _USUAL_SIDE

    @property
    def tail_apart(self) -> bool:
        """What follows a module of a torch network is no module of its own."""
        return self.frameworks == ("keras",)

    @property
    def frameworks(self) -> tuple[str, ...]:
        """Those that it is in."""
        return (FRAMEWORK_OF[self.library],) if self.own is None else self.own.frameworks()

    def require(self, framework: str) -> None:
        """See that it is asked for in its library's framework.

        Raises:
            UserError: in the other one.
        """
        if framework not in self.frameworks:
            whose = f"{self.library}'s, so it is " if self.library else ""
            method = "" if self.library else f", or write the method {framework!r} of its class"
            raise UserError(
                f"{self.name} is {whose}in {self.frameworks[0]} alone: give --framework"
                f" {self.frameworks[0]}{method}"
            )


def find(name: str, cam_layer: str = "") -> Architecture:
    """The row of one of the eleven, by name or alias, of "timm:NAME" or "keras:NAME", or of an
    added architecture.

    Args:
        name: whatever its case, but for NAME.
        cam_layer: of a network outside the eleven, see `Outside`.

    Raises:
        UserError: no such architecture, or one of the eleven with a layer of one's own.
    """
    library, colon, model = name.partition(":")
    library = library.lower()
    if colon and library in FRAMEWORK_OF and model:
        return _row(f"{library}:{model}", cam_layer, library=library, model=model)
    if name in ADDED_ARCHITECTURES.names():
        if any(name.lower() in (row.name.lower(), *row.aliases) for row in catalogue.ARCHITECTURES):
            raise UserError(f"somebody added an architecture {name!r}, which is one of the eleven")
        own = ADDED_ARCHITECTURES.get(name)()
        if not own.frameworks():
            raise UserError(
                f"architecture {name!r} has neither the method torch nor keras: write one"
            )
        return _row(name, cam_layer, paper=own.paper, own=own)
    try:
        row = catalogue.find(name)
    except UserError:
        raise unknown_name("architecture", name, known()) from None
    if cam_layer:
        raise UserError(
            f"--cam-layer: {row.name} is explained at the layer that both frameworks have, see"
            f" `describe {row.name}`; the option is for networks outside the eleven"
        )
    return row


def known() -> list[str]:
    """The eleven and what was added."""
    return [*catalogue.names(), *ADDED_ARCHITECTURES.names()]


def _row(
    name: str,
    cam_layer: str,
    *,
    library: str = "",
    model: str = "",
    paper: str = "",
    own: Backbone | None = None,
) -> Outside:
    return Outside(
        name=name,
        aliases=(),
        year=0,
        paper=paper or f"whatever {library} says of it",
        native_size=224,
        preprocessing="",
        keras_cam="",
        torch_cam="",
        channels=0,
        steps=(),
        parameters=0,
        base_parameters=0,
        timm=model if library == "timm" else None,
        twin=None,
        settings=_NO_PAPER,
        library=library,
        model=model,
        own=own,
        cam_layer=cam_layer,
    )
