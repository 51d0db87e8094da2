"""Data of every layout that the pages speak of, small, under the pages' own names."""

from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.data.synthetic.fundus_writer import write_idrid
from benchmark.data.synthetic.writer import write_dataset

SIDE = 72
CLASSES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")


def write_all(folder: Path) -> None:
    """`folder`/isic2018, lesion-masks, clinic, my-list, dermxdb, idrid and dermamnist.npz."""
    # Enough for the longest tail that a page asks for.
    _isic(folder / "isic2018", (100, 70, 48, 32, 22, 16, 12), first=0)
    _isic(folder / "lesion-masks", (12,) * len(CLASSES), first=1000)
    _clinic(folder / "clinic")
    _list(folder / "my-list")
    _medmnist(folder / "dermamnist.npz")
    for _ in write_dataset(folder / "dermxdb", 60, SIDE, 3, 0, 2):
        pass
    for _ in write_idrid(folder / "idrid", 100, SIDE, 0, 2):
        pass


def _picture(generator: np.random.Generator, label: int) -> np.ndarray:
    """Blotches like no other image's, of a class's own brightness; a square where its lesion is."""
    blotches = np.kron(generator.integers(0, 110, (6, 6, 3)), np.ones((12, 12, 1), int))
    image = blotches + generator.integers(0, 20, (SIDE, SIDE, 3)) + 12 * label
    image[20:50, 20:50] += 50
    return image.clip(0, 255).astype(np.uint8)


def _isic(folder: Path, counts: tuple[int, ...], first: int) -> None:
    """So many lesions of each class, a photograph and a mask each, flat, as HAM10000's copies."""
    generator = np.random.default_rng(first)
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rows = ["image," + ",".join(CLASSES)]
    for number, label in enumerate(np.repeat(np.arange(len(CLASSES)), counts)):
        name = f"ISIC_{first + number:07d}"
        Image.fromarray(_picture(generator, label)).save(folder / "images" / f"{name}.jpg")
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[20:50, 20:50] = 255
        Image.fromarray(mask).save(folder / "masks" / f"{name}_segmentation.png")
        rows.append(f"{name}," + ",".join(str(float(each == label)) for each in range(7)))
    (folder / "ISIC2018_Task3_Training_GroundTruth.csv").write_text("\n".join(rows) + "\n")


def _clinic(folder: Path) -> None:
    generator = np.random.default_rng(2)
    for label, name in enumerate(("eczema", "naevus")):
        (folder / name).mkdir(parents=True)
        for number in range(16):
            Image.fromarray(_picture(generator, 4 * label)).save(folder / name / f"{number}.png")


def _list(folder: Path) -> None:
    """As the example of a layout has it."""
    generator = np.random.default_rng(4)
    folder.mkdir()
    lines = []
    for number in range(12):
        Image.fromarray(_picture(generator, number % 2)).save(folder / f"{number}.png")
        lines.append(f"{('eczema', 'naevus')[number % 2]} patient-{number} {number}.png\n")
    (folder / "list.txt").write_text("".join(lines))


def _medmnist(path: Path) -> None:
    generator = np.random.default_rng(3)
    arrays = {}
    for part, count in (("train", 70), ("val", 21), ("test", 21)):
        labels = np.arange(count) % len(CLASSES)
        pictures = np.stack([_picture(generator, label) for label in labels])
        arrays |= {f"{part}_images": pictures[:, ::2, ::2][:, :28, :28]}
        arrays |= {f"{part}_labels": labels[:, None].astype(np.uint8)}
    np.savez(path, **arrays)
