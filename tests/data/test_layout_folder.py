"""A user's own images: class folders or a CSV file, and what can be wrong with them."""

import numpy as np
import pytest
from PIL import Image

import benchmark.data
from benchmark.data.check import check
from benchmark.errors import DataError, UserError


def _picture(path, size=(6, 5)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 150, 120)).save(path)


def _load(folder, **options):
    return benchmark.data.load("folder", folder, **options)


@pytest.fixture
def classes(tmp_path):
    for name in ("nevus/1.jpg", "nevus/2.PNG", "melanoma/1.jpg"):
        _picture(tmp_path / name)
    (tmp_path / "nevus" / "notes.txt").touch()
    return tmp_path


@pytest.fixture
def csv(tmp_path):
    for name in ("a", "b", "c", "sub/d"):
        _picture(tmp_path / "images" / f"{name}.jpg")
    (tmp_path / "list.csv").write_text(
        "Image,Diagnosis,lesion,split,site\n"
        "a.jpg,nevus,L1,train,arm\nb,melanoma,,val,leg\nc,nevus,L1,train,\nsub/d.jpg,nevus,L2,,\n"
    )
    return tmp_path


def _edit(csv, line, text):
    lines = (csv / "list.csv").read_text().splitlines()
    lines[line - 1 : line] = [text]
    (csv / "list.csv").write_text("\n".join(lines))


def test_class_folders_become_classes_in_alphabetical_order(classes):
    dataset = _load(classes)
    assert dataset.classes == ("melanoma", "nevus")
    assert dict(dataset.table["label"]) == {"melanoma/1": 0, "nevus/1": 1, "nevus/2": 1}
    assert set(dataset.table["split"]) == {""}
    assert dataset.table["group"].is_unique


def test_folders_above_the_classes_fix_the_parts(tmp_path):
    for part in ("train", "val", "Test"):
        for name in ("a", "b"):
            _picture(tmp_path / part / name / "1.jpg")
    table = _load(tmp_path).table
    assert dict(table["split"]) == {
        "Test/a/1": "test",
        "Test/b/1": "test",
        "train/a/1": "train",
        "train/b/1": "train",
        "val/a/1": "validation",
        "val/b/1": "validation",
    }


def test_table_is_read_with_groups_parts_and_metadata(csv):
    dataset = _load(csv)
    table = dataset.table
    assert list(table.index) == ["a", "b", "c", "sub/d"]
    assert list(table["label"]) == [1, 0, 1, 1]
    assert list(table["group"]) == ["L1", "b", "L1", "L2"]
    assert list(table["split"]) == ["train", "validation", "train", ""]
    assert list(table["site"]) == ["arm", "leg", "", ""]
    assert "1 image without the name of a group" in dataset.notes[0]
    assert dataset.image("sub/d").shape == (5, 6, 3)


def test_photographs_that_are_not_read_are_to_be_mended(classes):
    (classes / "nevus" / "IMG_1.HEIC").touch()
    _picture(classes / "nevus" / "more" / "3.jpg")
    _picture(classes / "nevus" / ".thumbnails" / "3.jpg")
    others, elsewhere = _load(classes).faults
    assert others.startswith("1 file of a kind that is not read (.HEIC), such as nevus/IMG_1.HEIC")
    assert elsewhere.startswith("1 image lies where none is read, such as nevus/more/3.jpg")


def test_photographs_beside_those_of_a_table_are_noted(csv):
    for name in ("1", "2"):
        _picture(csv / "nevus" / f"{name}.jpg")
    dataset = _load(csv)
    assert dataset.faults == ()
    assert any(n.startswith("2 images lie where none is read") for n in dataset.notes)


def test_grades_are_ordered_as_numbers(tmp_path):
    for grade in (10, 2, 1):
        _picture(tmp_path / str(grade) / "x.jpg")
    assert _load(tmp_path).classes == ("1", "2", "10")


def test_grades_that_are_one_number_have_an_order_of_their_own(tmp_path):
    names = ("00001", "0001", "001", "01", "1", "2")
    for name in names:
        _picture(tmp_path / name / "x.jpg")
    assert _load(tmp_path).classes == names


def test_patients_come_before_lesions_as_groups(csv):
    (csv / "list.csv").write_text(
        "id,label,lesion,patient\na,x,L1,P1\nb,y,L2,P1\nc,x,L3,P2\nsub/d,y,L4,P3\n"
    )
    table = _load(csv).table
    assert list(table["group"]) == ["P1", "P1", "P2", "P3"]
    assert list(table["lesion"]) == ["L1", "L2", "L3", "L4"]


def test_a_users_column_does_not_overwrite_ours(csv):
    (csv / "list.csv").write_text("id,label,path\na,x,1\nb,y,2\nc,x,3\nsub/d,y,4\n")
    table = _load(csv).table
    assert list(table["path_column"]) == ["1", "2", "3", "4"]
    assert table.at["a", "path"].endswith("a.jpg")


def _red(path, rows):
    """A mask in IDRiD's manner: a tiff of black and red, here marking the first `rows` rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((5, 6, 3), np.uint8)
    pixels[:rows, :, 0] = 76
    Image.fromarray(pixels).save(path)


def _masks_of(dataset):
    masks = dataset.masks
    assert set(masks["annotator"]) <= {"expert"}
    return set(zip(masks["id"], masks["characteristic"], strict=True))


@pytest.fixture
def idrid(tmp_path):
    for name in ("IDRiD_01", "IDRiD_02", "IDRiD_02_b"):
        _picture(tmp_path / "images" / f"{name}.jpg")
    (tmp_path / "grades.csv").write_text("id,label\nIDRiD_01,0\nIDRiD_02,1\nIDRiD_02_b,1\n")
    return tmp_path


def test_masks_are_named_like_their_image(classes):
    _picture(classes / "masks" / "nevus" / "1.png")
    _picture(classes / "masks" / "nevus" / "2_segmentation.png")
    _picture(classes / "masks" / "other.png")
    dataset = _load(classes)
    assert sorted(dataset.masks["id"]) == ["nevus/1", "nevus/2"]
    assert dataset.classes == ("melanoma", "nevus")
    assert dataset.mask_stack("nevus/1").shape == (1, 5, 6)
    (stray,) = dataset.faults
    assert stray in dataset.notes
    assert stray.startswith(
        "1 file below masks/ belongs to no image and is left out, such as other.png"
    )


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (
            ["a_mask", "c_mask"],
            "2 files below masks/ belong to no image and are left out, such as a_mask.png: name",
        ),
        (
            ["a", "ISIC_9999999"],
            "1 file below masks/ belongs to no image and is left out, such as ISIC_9999999.png:",
        ),
    ],
)
def test_masks_beside_a_table_that_belong_to_no_image_are_to_be_mended(csv, names, told):
    for name in names:
        _picture(csv / "masks" / f"{name}.png")
    (stray,) = _load(csv).faults
    assert stray.startswith(told)
    assert "masks/ID_segmentation.png" in stray
    assert "masks/CHARACTERISTIC/ID_ANYTHING.png" in stray
    assert stray in check(_load(csv)).problems


def test_masks_without_the_folder_of_their_class_are_to_be_mended(classes):
    _picture(classes / "masks" / "2.png")
    dataset = _load(classes)
    assert dataset.masks.empty
    assert "an ID is here such as melanoma/1" in dataset.faults[0]


def test_two_masks_of_one_image_are_refused(classes):
    _picture(classes / "masks" / "nevus" / "1.png")
    _picture(classes / "masks" / "nevus" / "1_segmentation.png")
    with pytest.raises(DataError, match="two masks of nevus/1"):
        _load(classes)


def test_folders_in_masks_are_characteristics_as_idrid_names_them(idrid):
    _red(idrid / "masks" / "1. Microaneurysms" / "IDRiD_01_MA.tif", rows=1)
    _red(idrid / "masks" / "2.Hard Exudates" / "IDRiD_01_EX.TIFF", rows=2)
    _red(idrid / "masks" / "1.5 mm" / "IDRiD_02.png", rows=3)
    dataset = _load(idrid)
    assert _masks_of(dataset) == {
        ("IDRiD_01", "Microaneurysms"),
        ("IDRiD_01", "Hard Exudates"),
        ("IDRiD_02", "1.5 mm"),
    }
    areas = dataset.mask_stack("IDRiD_01").sum(axis=(1, 2))
    assert dict(zip(dataset.mask_rows("IDRiD_01")["characteristic"], areas, strict=True)) == {
        "Microaneurysms": 6,
        "Hard Exudates": 12,
    }
    assert "1 image has no mask." in dataset.notes


def test_the_longest_id_that_fits_a_mask_counts(idrid):
    for name in ("IDRiD_02_b_MA", "IDRiD_02_c_MA"):
        _picture(idrid / "masks" / "MA" / f"{name}.png")
    masks = _load(idrid).masks.set_index("id")["path"]
    assert masks["IDRiD_02_b"].endswith("IDRiD_02_b_MA.png")
    assert masks["IDRiD_02"].endswith("IDRiD_02_c_MA.png")


def test_an_id_is_cut_at_underscores_only(idrid):
    _picture(idrid / "masks" / "MA" / "IDRiD_011_MA.png")
    dataset = _load(idrid)
    assert dataset.masks.empty
    assert "such as MA/IDRiD_011_MA.png: name" in dataset.faults[0]


def test_whole_lesion_and_characteristics_stand_beside_each_other(classes):
    _picture(classes / "Masks" / "nevus" / "1.png")
    _picture(classes / "Masks" / "Pigment_Network" / "nevus" / "1_pn.png")
    _picture(classes / "Masks" / "Pigment_Network" / "melanoma" / "1.png")
    assert _masks_of(_load(classes)) == {
        ("nevus/1", ""),
        ("nevus/1", "Pigment_Network"),
        ("melanoma/1", "Pigment_Network"),
    }


def test_mask_that_fits_two_images_is_refused(csv):
    _picture(csv / "images" / "d.jpg")
    with (csv / "list.csv").open("a") as table:
        table.write("d.jpg,nevus,,,\n")
    _picture(csv / "masks" / "sub" / "d.png")
    with pytest.raises(
        DataError, match=r"d\.png can be the mask of sub/d or, .* sub, of d: rename"
    ):
        _load(csv)


def test_two_masks_of_one_characteristic_are_refused_by_name(idrid):
    _picture(idrid / "masks" / "1. MA" / "IDRiD_01_MA.tif")
    _picture(idrid / "masks" / "MA" / "IDRiD_01.png")
    with pytest.raises(DataError, match=r"IDRiD_01_MA\.tif and .*IDRiD_01\.png are two .* for MA"):
        _load(idrid)


def test_folder_of_a_characteristic_without_masks_is_noted(idrid):
    _picture(idrid / "masks" / "MA" / "IDRiD_01.png")
    _picture(idrid / "masks" / ".thumbs" / "IDRiD_01.png")
    _picture(idrid / "masks" / "MA" / ".thumbs" / "IDRiD_02.png")
    (idrid / "masks" / "4. Soft Exudates").mkdir()
    dataset = _load(idrid)
    assert _masks_of(dataset) == {("IDRiD_01", "MA")}
    assert dataset.notes[-2:] == (
        "The folder masks/4. Soft Exudates holds no mask.",
        "2 images have no mask.",
    )


def test_folders_above_the_characteristics_are_no_annotators(idrid):
    _picture(idrid / "masks" / "a. Training Set" / "1. MA" / "IDRiD_01_MA.tif")
    dataset = _load(idrid)
    assert dataset.masks.empty
    assert dataset.faults[0].startswith("1 file below masks/ belongs to no image")


def test_mask_of_another_size_than_its_image_is_refused(idrid):
    _picture(idrid / "masks" / "MA" / "IDRiD_01_MA.tif", size=(7, 5))
    with pytest.raises(DataError, match=r"IDRiD_01_MA\.tif is 7 x 5 .* is 6 x 5"):
        _load(idrid).mask_stack("IDRiD_01")


def test_table_and_folder_of_images_can_be_chosen(csv):
    (csv / "images").rename(csv / "photos")
    (csv / "other.csv").write_text("x\n1\n")
    with pytest.raises(UserError, match=r"option table: list\.csv, other\.csv"):
        _load(csv)
    assert len(_load(csv, table="list.csv", images="photos").table) == 4
    with pytest.raises(DataError, match=r"third\.csv cannot be read"):
        _load(csv, table="third.csv")


@pytest.mark.parametrize(
    ("line", "text", "fault"),
    [
        (1, "picture,diagnosis,lesion,split,site", "line 1: no column is called id, image or file"),
        (1, "image,dx,lesion,split,site", "line 1: no column is called label, diagnosis or class"),
        (3, "a.jpg,nevus,,,", "line 3: 'a.jpg' is listed twice, first on line 2"),
        (3, "a,nevus,,,", "line 3: 'a' is the image of line 2"),
        (3, "b,NaN,,,", "line 3: column Diagnosis is empty"),
        (3, ",nevus,,,", "line 3: column Image is empty"),
        (3, "zz,nevus,,,", "line 3: image 'zz' is not in .*images"),
        (3, "b,nevus,,holdout,", "line 3: unknown part 'holdout' in column split"),
        (3, "b,nevus,,", "line 3: 4 cells where the header has 5"),
    ],
)
def test_fault_in_the_table_is_named_with_its_line(csv, line, text, fault):
    _edit(csv, line, text)
    with pytest.raises(DataError, match=fault) as caught:
        _load(csv)
    assert "list.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_faults_of_a_table_are_told_in_one_error(csv):
    (csv / "list.csv").write_text(
        "image,label,split\na.jpg,nevus,train\na,nevus,train\na.jpg,nevus,train\n"
        "zz,nevus,train\nb,,holdout\nc,nevus,test\n,nevus,test\n"
    )
    with pytest.raises(DataError) as caught:
        _load(csv)
    told = str(caught.value)
    assert told == (
        f"{csv}/list.csv has 7 faults: line 6: column label is empty, line 8: column image is"
        " empty: fill it in or remove the row; line 3: 'a' is the image of line 2, line 4: 'a.jpg'"
        " is listed twice, first on line 2: keep one row for each; line 5: image 'zz' is not in"
        f" {csv}/images: add the file or remove the row; line 6: unknown part 'holdout' in column"
        " split: use train, validation, val, test, or leave it empty;"
        f" {csv}/images/sub/d.jpg has no row: add a row or move the file away"
    )


def test_of_many_faults_of_a_table_ten_are_told_and_each_kind_among_them(csv):
    rows = "".join(f"no{number},nevus,train\n" for number in range(50))
    (csv / "list.csv").write_text(
        "image,label,split\na,nevus,\nb,wart,\nc,wart,\nsub/d,wart,x\n" + rows
    )
    with pytest.raises(DataError, match=r"has 51 faults: .*'x' in column split.*; and 41 more$"):
        _load(csv)


def test_all_faults_of_class_folders_are_told_in_one_error(classes):
    for name in ("keratosis", "wart"):
        (classes / name).mkdir()
    _picture(classes / "stray.jpg")
    with pytest.raises(DataError) as caught:
        _load(classes)
    assert str(caught.value) == (
        f"{classes} has 3 faults: class folder keratosis holds no image, class folder wart holds no"
        " image: add images of the class or remove it; stray.jpg lies in no class folder: move it"
        " into the folder of its class, or add a CSV file"
    )


def test_image_without_label_is_named(csv):
    _picture(csv / "images" / "zz.jpg")
    with pytest.raises(DataError, match=r"list\.csv: .*zz\.jpg has no row: add"):
        _load(csv)


def test_missing_folder_of_images_is_named(csv):
    (csv / "images").rename(csv / "elsewhere")
    with pytest.raises(DataError, match="images cannot be read"):
        _load(csv)


def test_class_folder_without_images_is_named(classes):
    (classes / "keratosis").mkdir()
    with pytest.raises(DataError, match=r"class folder .*keratosis holds no image"):
        _load(classes)


def test_mixture_of_parts_and_classes_is_refused(classes):
    _picture(classes / "train" / "nevus" / "9.jpg")
    with pytest.raises(DataError, match=r"holds both parts \(train\) and the folder melanoma"):
        _load(classes)


def test_image_outside_the_class_folders_is_refused(classes):
    _picture(classes / "stray.jpg")
    with pytest.raises(DataError, match=r"stray\.jpg lies in no class folder"):
        _load(classes)


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="neither class folders with images nor a CSV file"):
        _load(tmp_path)


def test_unknown_option_and_missing_folder_are_refused(classes):
    with pytest.raises(UserError, match="no option 'colour'; its options: table, images"):
        _load(classes, colour="red")
    with pytest.raises(UserError, match="does not exist"):
        _load(classes / "nowhere")
