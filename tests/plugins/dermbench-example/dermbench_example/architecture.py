"""An architecture: three convolutions, in either framework."""

from architectures import Backbone


class Three(Backbone):
    """Three convolutions of stride 2, each with BatchNorm and ReLU; features are the map's mean.

    The two are the same layers with weights of their own: no parity is promised, or measured.
    """

    name = "example-three"
    paper = "none"
    torch_cam = "2"

    def torch(self, image_size):
        """From pixels, normalised, (N, 3, H, W) to features (N, 64)."""
        from torch import nn

        blocks = [
            nn.Sequential(
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            )
            for before, after in ((3, 16), (16, 32), (32, 64))
        ]
        return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def keras(self, image_size):
        """From pixels, normalised, (N, H, W, 3) to the map (N, h, w, 64)."""
        import keras

        images = x = keras.Input((*image_size, 3))
        for channels in (16, 32, 64):
            x = keras.layers.Conv2D(channels, 3, strides=2, padding="same", use_bias=False)(x)
            x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
        return keras.Model(images, x)
