"""Which methods are tested where."""

from benchmark.registry import METHODS

# In test_unlabelled_*.py and test_self_training*.py.
SEMI_SUPERVISED = {
    "supervised",
    "pseudo-label",
    "mean-teacher",
    "fixmatch",
    "crest",
    "crest+",
    "isdl",
    "isdl-plus",
    "src-mt",
    "srcl-joint",
    "srcl-pretrain",
}
# In test_joint_*.py.
JOINT = {name for name in METHODS.names() if METHODS.get(name).joint} | {"single-task"}
# In test_methods.py and test_method_losses.py.
LABELS_ALONE = [
    name
    for name in METHODS.names()
    if METHODS.get(name).trains and name not in SEMI_SUPERVISED | JOINT
]
