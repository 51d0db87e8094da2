"""How a network is trained: recipes and augmentations, as a run's configuration holds them."""

from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)


class Settings(BaseModel):
    """Fixed once made; an unknown name or a number that is none is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Augmentation(Settings):
    """Random changes of a training image; every range is sampled uniformly, per image and epoch,
    but `crop_ratio` uniformly in its logarithm.

    The geometric part is one affine warp about the centre, so pixels are interpolated once.
    `shear` is in degrees, as in Keras' ImageDataGenerator, whose values the paper budget takes.
    """

    horizontal_flip: bool = False
    vertical_flip: bool = False
    rotation: float = Field(0.0, ge=0, le=180, description="degrees, either way")
    shear: float = Field(0.0, ge=0, lt=90, description="degrees, either way")
    zoom: float = Field(0.0, ge=0, lt=1, description="scale from 1 - zoom to 1 + zoom, per axis")
    brightness: tuple[float, float] = (1.0, 1.0)
    border: Literal["reflect", "nearest"] = "reflect"
    crop: tuple[float, float] = Field(
        (1.0, 1.0), description="a random part of the image, of this share of its area, fills it"
    )
    crop_ratio: tuple[float, float] = Field((1.0, 1.0), description="width / height of that part")
    jitter: tuple[float, float, float, float] = Field(
        (0.0, 0.0, 0.0, 0.0), description="brightness, contrast, saturation, hue; as torchvision's"
    )
    jitter_probability: float = Field(1.0, ge=0, le=1)
    greyscale_probability: float = Field(0.0, ge=0, le=1)
    blur: tuple[float, float] = Field((1.0, 1.0), description="sigma of a 3x3 Gaussian, in pixels")
    blur_probability: float = Field(0.0, ge=0, le=1)
    cutout: tuple[float, float] = Field(
        (0.0, 0.0), description="side of a grey square, as a share of the image's shorter side"
    )

    @model_serializer(mode="wrap")
    def _leave_out_no_cutout(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Runs without one keep the names that they had before there was any.
        settings: dict[str, Any] = write(self)
        if not any(self.cutout):
            settings.pop("cutout", None)
        return settings

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        for name in ("crop", "crop_ratio", "blur"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name}: {low} to {high} is no range above 0")
        if self.crop[1] > 1 or min(self.jitter) < 0 or self.jitter[3] > 0.5:
            raise ValueError("crop is at most 1, jitter at least 0, its hue at most 0.5")
        if not 0 <= self.cutout[0] <= self.cutout[1] <= 1:
            raise ValueError(f"cutout: {self.cutout[0]} to {self.cutout[1]} is no range in 0..1")
        return self


class Recipe(Settings):
    """How a stage of supervised training is run. Methods may override parts of it per stage."""

    epochs: int = Field(ge=0, description="0 only for methods that do not train")
    batch_size: int = Field(ge=2)
    optimiser: Literal["adam", "adamw", "sgd"]
    nesterov: bool = Field(True, description="of sgd")
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(0.0, ge=0)
    schedule: Literal["constant", "cosine", "thirds", "half-then-quarter"] = Field(
        description="thirds: a tenth of the rate after every int(epochs / 3) epochs;"
        " half-then-quarter: a tenth after a half of them, a hundredth after three quarters"
    )
    warmup_epochs: float = Field(0.0, ge=0)
    patience: int | None = Field(None, ge=1, description="epochs without a better validation score")
    freeze: Literal["none", "paper", "backbone", "backbone-weights"] = "none"
    head: Literal["plain", "paper", "cosine"] = "plain"
    class_weights: bool = False
    bn_momentum: float | None = Field(
        None, gt=0, lt=1, description="BatchNorm momentum, Keras' convention; None: the network's"
    )
    augmentation: Augmentation = Augmentation()

    def stretch(self, epochs: int) -> "Recipe":
        """The recipe of one of several stages that share its epochs, and its warm-up with them."""
        warmup = self.warmup_epochs * epochs / self.epochs
        return self.model_copy(update={"epochs": epochs, "warmup_epochs": warmup})
