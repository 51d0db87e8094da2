"""The eleven ConvNets as data: names, sizes, preprocessing, Grad-CAM layers, the paper's settings.

Nothing is built here and nothing heavy is imported; `torch_nets` and `keras_nets` read these rows.
"""

from architectures.architecture import Architecture, PaperSettings
from benchmark.errors import unknown_name

_INCEPTION_STEPS = ("valid", "trim", "valid", "trim", "valid", "valid", "valid")
_WIDE = (0.5, 1.5)
_POOLED = ("pool", "dense")

ARCHITECTURES: tuple[Architecture, ...] = (
    Architecture(
        name="DenseNet121",
        aliases=("densenet-121",),
        year=2017,
        paper="Huang et al., Densely Connected Convolutional Networks, arXiv 1608.06993",
        native_size=224,
        preprocessing="torch",
        keras_cam="relu",
        torch_cam="features.norm5",
        channels=1024,
        steps=("ceil", "ceil", "floor", "floor", "floor"),
        parameters=8_062_504,
        base_parameters=7_037_504,
        timm="densenet121",
        twin="densenet121",
        bn_epsilon=1.001e-5,
        settings=PaperSettings(
            (400, 300), 20, 0.5, 0.5, _WIDE, 1e-4, "conv5_block14_concat", 232, _POOLED,
            pretrain_epochs=None, finetune_epochs=None, cam_layer=None,
        ),
    ),
    Architecture(
        name="EfficientNetB0",
        aliases=("efficientnet-b0", "efficientnet_b0", "tf_efficientnet_b0"),
        year=2019,
        paper="Tan and Le, EfficientNet, arXiv 1905.11946",
        native_size=224,
        preprocessing="none",
        keras_cam="top_activation",
        torch_cam="bn2",
        channels=1280,
        steps=("ceil",) * 5,
        parameters=5_330_571,
        base_parameters=4_049_571,
        timm="efficientnet_b0",
        twin="tf_efficientnet_b0",
        torch_paper_cam=("conv_head", "bn2"),
        initialiser="efficientnet",
        drop_connect=0.2,
        settings=PaperSettings(
            (400, 300), 20, 0.25, 0.5, _WIDE, 1e-4, "block6d_add", 121,
            ("pool", "batchnorm", "dropout", "dense"),
            pretrain_epochs=50, finetune_epochs=50, cam_layer="top_conv",
        ),
    ),
    Architecture(
        name="InceptionV3",
        aliases=("inception-v3", "inception_v3"),
        year=2016,
        paper="Szegedy et al., Rethinking the Inception Architecture, arXiv 1512.00567",
        native_size=299,
        preprocessing="tf",
        keras_cam="mixed10",
        torch_cam="Mixed_7c",
        channels=2048,
        steps=_INCEPTION_STEPS,
        parameters=23_851_784,
        base_parameters=21_802_784,
        timm="inception_v3",
        twin="inception_v3",
        settings=PaperSettings(
            # The authors' code says activation_288: activation_85 after an InceptionResNetV2 built
            # in the same session. All weighted layers come before it in `model.layers`.
            (400, 300), 20, 0.5, 0.5, _WIDE, 1e-3, "activation_85", 188, _POOLED,
            pretrain_epochs=50, finetune_epochs=50, cam_layer="mixed10",
        ),
    ),
    Architecture(
        name="InceptionResNetV2",
        aliases=("inception-resnet-v2", "inception_resnet_v2"),
        year=2017,
        paper="Szegedy et al., Inception-v4, Inception-ResNet, arXiv 1602.07261",
        native_size=299,
        preprocessing="tf",
        keras_cam="conv_7b_ac",
        torch_cam="conv2d_7b",
        channels=1536,
        steps=_INCEPTION_STEPS,
        parameters=55_873_736,
        base_parameters=54_336_736,
        timm="inception_resnet_v2",
        twin="inception_resnet_v2",
        torch_paper_cam=("conv2d_7b.conv", "conv2d_7b.bn"),
        settings=PaperSettings(
            (400, 300), 20, 0.25, 0.5, (0.75, 1.25), 1e-4, "block8_9_ac", 437, _POOLED,
            pretrain_epochs=50, finetune_epochs=50, cam_layer="conv_7b",
        ),
    ),
    Architecture(
        name="MobileNet",
        aliases=("mobilenet-v1", "mobilenetv1", "mobilenetv1_100"),
        year=2017,
        paper="Howard et al., MobileNets, arXiv 1704.04861",
        native_size=224,
        preprocessing="tf",
        keras_cam="conv_pw_13_relu",
        torch_cam="blocks.4.1",
        channels=1024,
        steps=("ceil", "floor", "floor", "floor", "floor"),
        parameters=4_253_864,
        base_parameters=3_228_864,
        timm="mobilenetv1_100",
        twin="mobilenetv1_100",
        settings=PaperSettings(
            (400, 300), 10, 0.5, 0.5, _WIDE, 1e-4, "conv_pw_12_relu", 50,
            # A 1x1 convolution on the pooled 1x1 map, without activation: a dense layer.
            ("pool", "dropout", "dense", "dense"),
            pretrain_epochs=50, finetune_epochs=50, cam_layer="conv_pw_13_relu",
        ),
    ),
    Architecture(
        name="MobileNetV2",
        aliases=("mobilenet-v2", "mobilenet_v2", "mobilenetv2_100"),
        year=2018,
        paper="Sandler et al., MobileNetV2, arXiv 1801.04381",
        native_size=224,
        preprocessing="tf",
        keras_cam="out_relu",
        torch_cam="bn2",
        channels=1280,
        steps=("ceil",) * 5,
        parameters=3_538_984,
        base_parameters=2_257_984,
        timm="mobilenetv2_100",
        twin="mobilenetv2_100",
        bn_momentum=0.999,
        settings=PaperSettings(
            (400, 300), 10, 0.25, 0.5, _WIDE, 1e-4, "block_15_add", 96, _POOLED,
            pretrain_epochs=75, finetune_epochs=50, cam_layer="out_relu",
        ),
    ),
    Architecture(
        name="NASNetMobile",
        aliases=("nasnet-mobile", "nasnet_mobile", "nasnet"),
        year=2018,
        paper="Zoph et al., Learning Transferable Architectures, arXiv 1707.07012",
        native_size=224,
        preprocessing="tf",
        keras_cam="activation_187",
        torch_cam="activation",
        channels=1056,
        steps=("valid", "ceil", "ceil", "ceil", "ceil"),
        parameters=5_326_716,
        base_parameters=4_269_716,
        timm=None,
        twin=None,
        initialiser="nasnet",
        bn_momentum=0.9997,
        settings=PaperSettings(
            (224, 224), 20, 0.25, 0.5, (0.5, 1.0), 1e-4, "normal_concat_11", 364, _POOLED,
            pretrain_epochs=75, finetune_epochs=50, cam_layer="activation_484",
        ),
    ),
    Architecture(
        name="ResNet50",
        aliases=("resnet-50", "resnet_50"),
        year=2016,
        paper="He et al., Deep Residual Learning for Image Recognition, arXiv 1512.03385",
        native_size=224,
        preprocessing="caffe",
        keras_cam="conv5_block3_out",
        torch_cam="layer4.2",
        channels=2048,
        steps=("ceil",) * 5,
        parameters=25_636_712,
        base_parameters=23_587_712,
        timm="resnet50",
        twin="resnet50",
        bn_epsilon=1.001e-5,
        settings=PaperSettings(
            (400, 300), 20, 0.5, 0.5, _WIDE, 1e-4, "conv5_block3_out", 106, ("flatten", "dense"),
            pretrain_epochs=50, finetune_epochs=50, cam_layer="conv5_block3_out",
        ),
    ),
    Architecture(
        name="ResNet50V2",
        aliases=("resnet-50-v2", "resnet50-v2", "resnetv2_50"),
        year=2016,
        paper="He et al., Identity Mappings in Deep Residual Networks, arXiv 1603.05027",
        native_size=224,
        preprocessing="tf",
        keras_cam="post_relu",
        torch_cam="norm",
        channels=2048,
        steps=("ceil",) * 5,
        parameters=25_613_800,
        base_parameters=23_564_800,
        timm="resnetv2_50",
        twin="resnetv2_50",
        bn_epsilon=1.001e-5,
        settings=PaperSettings(
            (400, 300), 20, 0.25, 0.25, (0.5, 1.0), 1e-3, "post_relu", 102, _POOLED,
            pretrain_epochs=75, finetune_epochs=50, cam_layer="post_relu",
        ),
    ),
    Architecture(
        name="VGG16",
        aliases=("vgg-16", "vgg"),
        year=2015,
        paper="Simonyan and Zisserman, Very Deep Convolutional Networks, arXiv 1409.1556",
        native_size=224,
        preprocessing="caffe",
        keras_cam="block5_conv3",
        torch_cam="features.29",
        channels=512,
        steps=("floor",) * 4,
        parameters=138_357_544,
        base_parameters=14_714_688,
        timm="vgg16",
        twin="vgg16",
        bn_epsilon=None,
        bn_momentum=None,
        settings=PaperSettings(
            (400, 300), 10, 0.0, 0.25, (0.5, 1.0), 1e-2, "block5_pool", 13, ("flatten", "dense"),
            pretrain_epochs=75, finetune_epochs=50, cam_layer="block5_conv3",
            cam_score="logit",
        ),
    ),
    Architecture(
        name="Xception",
        aliases=("legacy_xception",),
        year=2017,
        paper="Chollet, Xception: Depthwise Separable Convolutions, arXiv 1610.02357",
        native_size=299,
        preprocessing="tf",
        keras_cam="block14_sepconv2_act",
        torch_cam="act4",
        channels=2048,
        steps=("valid", "trim", "ceil", "ceil", "ceil", "ceil"),
        parameters=22_910_480,
        base_parameters=20_861_480,
        timm="legacy_xception",
        twin="legacy_xception",
        settings=PaperSettings(
            (400, 300), 10, 0.25, 0.5, _WIDE, 1e-3, "block14_sepconv2_act", 80, _POOLED,
            pretrain_epochs=50, finetune_epochs=50, cam_layer="block14_sepconv2_act",
        ),
    ),
)  # fmt: skip


def names() -> list[str]:
    """The architectures, spelled as in keras.applications."""
    return [architecture.name for architecture in ARCHITECTURES]


def find(name: str) -> Architecture:
    """The row of `name` or of one of its aliases, whatever the case.

    Raises:
        UserError: no such architecture; the nearest names are in the message.
    """
    wanted = name.lower()
    for row in ARCHITECTURES:
        if wanted == row.name.lower() or wanted in row.aliases:
            return row
    raise unknown_name("architecture", name, names())
