"""The PyTorch side of the explainers: networks as captum, grad-cam and torchcam want them.

Which explainer this is, and with which settings, is said in `cams` and `pixels`. A library is
imported where it is used, so that an explainer needs no other's.
"""

import numpy as np
import torch
from torch import Tensor, nn

from architectures.network import Network

_BATCH = 16


class _Tail(nn.Module):
    """The Grad-CAM layer's output (N, C, h, w) -> logits; `maps` is what libraries hook."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.maps = nn.Identity()
        self.module = module

    def forward(self, maps: Tensor) -> Tensor:
        return self.module.tail(self.maps(maps)).logits


class _Maps(nn.Module):
    """(N, H, W, 3) RGB of 0..255 -> the Grad-CAM layer's output (N, C, h, w)."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> Tensor:
        return self.module.maps(images)


class _Centred(nn.Module):
    """Images less one colour, (N, 3, H, W), -> logits: a mask's zeros become that colour."""

    def __init__(self, module: nn.Module, colour: Tensor) -> None:
        super().__init__()
        self.maps = _Maps(module)
        self.colour = colour

    def forward(self, centred: Tensor) -> Tensor:
        maps = self.maps(centred.permute(0, 2, 3, 1) + self.colour)
        return self.maps.module.tail(maps).logits


def gradcam_plus_plus(network: Network, features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(B, h, w), see `cams.GradCamPlusPlus`; features (B, h, w, C)."""
    from pytorch_grad_cam import GradCAMPlusPlus

    tail, maps = _Tail(_inference(network)), _leaf(network, features)
    score = tail(maps).gather(1, _tensor(network, targets)[:, None]).sum()
    gradients = torch.autograd.grad(score, maps)[0].cpu().numpy()
    activations = maps.detach().cpu().numpy()
    scale = np.abs(gradients).max((1, 2, 3), keepdims=True)
    scale[scale == 0] = 1
    library = GradCAMPlusPlus(tail, [tail.maps])
    # The library's own last step normalises the map.
    weights = library.get_cam_weights(None, None, None, activations * scale, gradients / scale)
    return np.einsum("nc,nchw->nhw", weights * scale[:, :, 0, 0], activations)


def layercam(network: Network, features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(B, h, w), see `cams.LayerCam`; features (B, h, w, C)."""
    from torchcam.methods import LayerCAM

    tail, maps = _Tail(_inference(network)), _leaf(network, features)
    with LayerCAM(tail, tail.maps) as library:
        scores = tail(maps)
        (found,) = library(targets.tolist(), scores, normalized=False)
    return found.cpu().numpy()


def scorecam(
    network: Network, images: np.ndarray, targets: np.ndarray, colours: np.ndarray
) -> np.ndarray:
    """(B, h, w), see `cams.ScoreCam`; colours (B, 3) of hidden pixels."""
    from torchcam.methods import ScoreCAM

    found = []
    for image, target, colour in zip(images, targets, colours, strict=True):
        hidden = _floats(network, colour)
        model = _Centred(_inference(network), hidden)
        centred = (_floats(network, image) - hidden).permute(2, 0, 1)[None]
        with torch.no_grad(), ScoreCAM(model, model.maps, batch_size=_BATCH) as library:
            model(centred)
            (one,) = library([int(target)], normalized=False)
        found.append(one[0].cpu().numpy())
    return np.stack(found)


def gradients(network: Network, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) float32: the gradient of the target's logit; images (N, H, W, 3) float32."""
    from captum.attr import Saliency

    library = Saliency(_inference(network))
    parts = []
    for start in range(0, len(images), _BATCH):
        pixels = _floats(network, images[start : start + _BATCH]).requires_grad_()
        target = _tensor(network, targets[start : start + _BATCH])
        parts.append(library.attribute(pixels, target, abs=False).cpu().numpy())
    return np.concatenate(parts)


def integrated_gradients(
    network: Network, images: np.ndarray, targets: np.ndarray, baselines: np.ndarray, steps: int
) -> np.ndarray:
    """(B, H, W), see `pixels.IntegratedGradients`."""
    from captum.attr import IntegratedGradients

    library = IntegratedGradients(_inference(network))
    found = []
    for image, target, baseline in zip(images, targets, baselines, strict=True):
        one = library.attribute(
            _floats(network, image[None]),
            _floats(network, baseline[None]),
            int(target),
            n_steps=steps,
            internal_batch_size=_BATCH,
        )
        found.append(one[0].sum(-1).cpu().numpy())
    return np.stack(found)


def occlusion(
    network: Network,
    images: np.ndarray,
    targets: np.ndarray,
    baselines: np.ndarray,
    window: tuple[int, int],
    stride: tuple[int, int],
) -> np.ndarray:
    """(B, H, W), see `pixels.Occlusion`; window and stride are (height, width) in pixels."""
    from captum.attr import Occlusion

    library = Occlusion(_inference(network))
    found = []
    for image, target, baseline in zip(images, targets, baselines, strict=True):
        one = library.attribute(
            _floats(network, image[None]),
            sliding_window_shapes=(*window, 3),
            strides=(*stride, 3),
            baselines=_floats(network, baseline[None]),
            target=int(target),
            perturbations_per_eval=_BATCH,
        )
        # The three colours are hidden together, so each has the whole fall.
        found.append(one[0, ..., 0].cpu().numpy())
    return np.stack(found)


def _inference(network: Network) -> nn.Module:
    """The network's module; libraries call it as it is, and after training it is not."""
    return network.module.eval()


def _leaf(network: Network, features: np.ndarray) -> Tensor:
    """Maps (N, h, w, C) as (N, C, h, w), to be differentiated at."""
    return _floats(network, features).permute(0, 3, 1, 2).contiguous().requires_grad_()


def _floats(network: Network, array: np.ndarray) -> Tensor:
    return _tensor(network, np.asarray(array, np.float32))


def _tensor(network: Network, array: np.ndarray) -> Tensor:
    device = next(network.module.parameters()).device
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
