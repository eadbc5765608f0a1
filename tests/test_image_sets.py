"""Images from folders, arrays and the renderer: labels, masks, groups, and what is wrong with them."""

import numpy as np
import pytest
from PIL import Image

from glossator.corpora.image_sets import images_of_folder, is_images, open_images
from glossator.errors import MissingPower, UserError
from glossator.inputs import WHOLE, Concept, Grid, Images, annotations_of
from glossator.recording import open_recording, record, recording_spec
from glossator.scenes import SceneImages
from glossator.subjects.functions import FunctionSubject

DOG, RED = Concept("label", "dog"), Concept("label", "red")


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures in two folders, wider than high: red on the left half of the square that is cut out."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    for i in range(12):
        pixels = np.zeros((60, 100, 3), np.uint8)
        pixels[:, :50, 0] = 200 + i
        pixels[:, 20:50, 2] = np.random.default_rng(i).integers(0, 256, (6, 3)).repeat(10, 0).repeat(10, 1)
        Image.fromarray(pixels).save(tmp_path / ("a/b" if i % 2 else "a") / f"{i:02}.png")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_bytes(b"")
    return tmp_path


def labelled(folder) -> None:
    rows = ["file,label,group", "a/00.png,dog,day one", "a/00.png,red,", "a/02.png,dog,day one", "a/b/01.png,,day two"]
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")


def masked(folder) -> None:
    mask = np.zeros((60, 100), np.uint8)
    mask[:, :50] = 255
    (folder / "masks" / "red" / "a").mkdir(parents=True)
    Image.fromarray(mask).save(folder / "masks" / "red" / "a" / "00.png")
    Image.fromarray(mask).save(folder / "masks" / "red" / "a" / "04.png")


def test_images_of_a_folder_are_decoded_when_they_are_read(folder) -> None:
    assert is_images(str(folder)) and not is_images(str(folder / "a" / "nowhere")) and not is_images("embedded")
    images, names = images_of_folder(folder, 30)
    assert images.pixels.shape == (12, 30, 30, 3) and names[0] == "a/00.png" and len(set(images.groups)) == 12
    assert (images.pixels[0][:, :14, 0] > 195).all() and (images.pixels[0][:, 16:] < 5).all()
    assert images.take(np.array([3, 0])).pixels[1].tolist() == images.pixels[0].tolist()
    assert images.annotations is None
    with pytest.raises(MissingPower, match="or masks"):
        annotations_of(images)


def test_labels_and_masks_become_annotations(folder) -> None:
    labelled(folder)
    masked(folder)
    images, names = images_of_folder(folder, 30)
    known, cells = annotations_of(images), Grid("cells", (2, 2))
    assert known.concepts == (DOG, RED)
    assert np.flatnonzero(known.present(DOG)).tolist() == [0, 1] and known.present(RED)[[0, 2]].all()
    every = np.arange(12)
    assert known.coverage(every, RED, cells)[0].tolist() == [1, 0, 1, 0]
    assert known.coverage(every, RED, WHOLE)[:3, 0].tolist() == [0.5, 0, 0.5]
    assert known.coverage(np.array([1, 0, 5]), DOG, cells).tolist() == [[1] * 4, [1] * 4, [0] * 4]
    assert images.groups[0] == images.groups[1] and "day one" in names and len(names) == 11
    taken = annotations_of(images.take(np.array([2, 3])))
    assert taken.coverage(np.array([0, 1]), RED, cells).tolist() == [[1, 0, 1, 0], [0] * 4]


def test_a_recording_keeps_labels_and_masks(folder, tmp_path) -> None:
    labelled(folder)
    masked(folder)
    probes = open_images(str(folder))
    subject = FunctionSubject(lambda pixels: pixels[..., 0].mean((1, 2)), "redness", takes="images")
    made = record(recording_spec(subject, probes, ("output",)), subject, probes, tmp_path / "made")
    inputs = open_recording(made.folder).inputs
    assert isinstance(inputs, Images) and (np.asarray(inputs.pixels) == np.asarray(probes.inputs.pixels)).all()
    before, after = annotations_of(probes.inputs), annotations_of(inputs)
    rows, cells = np.arange(12), Grid("cells", (7, 7))
    assert before.concepts == after.concepts
    for concept in before.concepts:
        assert (before.coverage(rows, concept, cells) == after.coverage(rows, concept, cells)).all()


def test_the_order_of_files_and_their_bytes_make_the_fingerprint(folder) -> None:
    first = open_images(str(folder)).fingerprint
    assert open_images(str(folder)).fingerprint == first
    Image.new("RGB", (40, 40)).save(folder / "a" / "00.png")
    assert open_images(str(folder)).fingerprint != first


@pytest.mark.parametrize("broken", ["image", "label", "columns", "group", "mask", "size", "few"])
def test_what_is_wrong_with_a_folder_is_said(folder, broken: str) -> None:
    labelled(folder)
    masked(folder)
    if broken == "image":
        (folder / "a" / "00.png").write_bytes(b"\x89PNG no more")
    elif broken == "label":
        (folder / "labels.csv").write_text("file,label\nnowhere.png,dog\n")
    elif broken == "columns":
        (folder / "labels.csv").write_text("name;label\n")
    elif broken == "group":
        (folder / "labels.csv").write_text("file,label,group\na/00.png,dog,x\na/00.png,red,y\n")
    elif broken == "mask":
        Image.new("L", (100, 60)).save(folder / "masks" / "red" / "none.png")
    elif broken == "size":
        Image.new("L", (10, 60)).save(folder / "masks" / "red" / "a" / "02.png")
    else:
        (folder / "labels.csv").write_text("file,group\n" + "".join(f"a/{i:02}.png,x\n" for i in range(0, 12, 2)))
        for i in range(1, 12, 2):
            (folder / "a" / "b" / f"{i:02}.png").unlink()
    with pytest.raises(UserError, match=r"read|names no|lack|second group|no image|another size|split"):
        open_images(str(folder))


def test_a_truncated_image_is_named_when_it_is_read(folder) -> None:
    whole = (folder / "a" / "00.png").read_bytes()
    (folder / "a" / "00.png").write_bytes(whole[:70])
    images, _ = images_of_folder(folder)
    with pytest.raises(UserError, match=r"00\.png"):
        images.pixels[0]


def test_photographs_stand_upright_and_what_is_transparent_is_white(tmp_path) -> None:
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20, 2] = 255
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=turned)
    Image.fromarray(np.zeros((20, 20, 4), np.uint8)).save(tmp_path / "b.png")
    images, _ = images_of_folder(tmp_path, 20)
    assert images.pixels[0][0, 10].tolist() == [0, 0, 255] and images.pixels[0][-1, 10].tolist() == [0, 0, 0]
    assert (images.pixels[1] == 255).all()


def test_renders_are_a_probe_set_reproducible_from_the_seed() -> None:
    probes = open_images("renders:40", seed=3)
    assert isinstance(probes.inputs, SceneImages) and len(probes.inputs) == 40 and len(probes.group_ids) == 40
    assert probes.fingerprint == open_images("renders:40", seed=3).fingerprint
    assert probes.fingerprint != open_images("renders:40", seed=4).fingerprint
    other = open_images("renders:40:twemoji", seed=3).inputs
    assert isinstance(other, SceneImages) and other.scenes[0].things == probes.inputs.scenes[0].things
    assert (other.pixels[0] != probes.inputs.pixels[0]).any()


@pytest.mark.parametrize("name", ["renders:", "renders:3", "renders:-5", "renders:many", "renders:9:crayon"])
def test_a_wrong_number_or_style_of_renders_is_said(name: str) -> None:
    if name == "renders:":
        assert is_images(name)
        return
    with pytest.raises(UserError, match="what scenes to render"):
        open_images(name)


def test_images_that_look_alike_are_of_one_split(tmp_path) -> None:
    """Copies leak from the explain split into the test split, also at another size and in another format."""
    rng = np.random.default_rng(0)
    for i in range(30):
        one = Image.fromarray(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)).resize((120, 120))
        one.save(tmp_path / f"{i:02}.png")
        one.resize((96, 96)).save(tmp_path / f"{i:02} again.jpg", quality=80)
    probes = open_images(str(tmp_path))
    split = probes.split_of_input.reshape(30, 2)
    assert (split[:, 0] == split[:, 1]).all() and len(probes.group_ids) == 30
    assert probes.notes == ["Images that look like others and stay with them in one split: 30."]
    pixels = np.stack([np.asarray(Image.open(path).resize((96, 96))) for path in sorted(tmp_path.glob("*"))])
    np.save(tmp_path / "pixels.npy", pixels)
    assert len(open_images(str(tmp_path / "pixels.npy")).group_ids) == 30
    np.savez(tmp_path / "pixels.npz", pixels=pixels, groups=np.arange(60) // 4)
    assert len(open_images(str(tmp_path / "pixels.npz")).group_ids) == 15


def test_scenes_with_other_things_do_not_look_alike() -> None:
    from glossator.corpora.look_alikes import join_look_alikes, thumbnails_of_pixels
    from glossator.scenes import random_scenes
    from glossator.scenes.render import render

    drawn = np.stack([render(scene, 48).pixels for scene in random_scenes(150, 0)])
    groups, joined = join_look_alikes(np.arange(150), thumbnails_of_pixels(drawn))
    assert joined == 0 and (groups == np.arange(150)).all()
    blank = np.full((3, 48, 48, 3), 250, np.uint8)
    assert join_look_alikes(np.arange(3), thumbnails_of_pixels(blank))[0].tolist() == [0, 0, 0]


def test_a_broken_image_is_found_before_anything_is_recorded(folder) -> None:
    path = folder / "a" / "02.png"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(UserError, match=r"02\.png"):
        open_images(str(folder))


def test_groups_of_an_array_are_whole_numbers_or_texts(tmp_path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)
    for groups in (np.arange(12) // 2, np.array([f"scene {i // 2}" for i in range(12)])):
        np.savez(tmp_path / "a.npz", pixels=pixels, groups=groups)
        assert open_images(str(tmp_path / "a.npz")).inputs.groups.tolist()[:4] == [0, 0, 1, 1]
    for groups in (np.arange(12) / 2, np.full(12, np.nan), np.arange(11)):
        np.savez(tmp_path / "a.npz", pixels=pixels, groups=groups)
        with pytest.raises(UserError):
            open_images(str(tmp_path / "a.npz"))
    for few in (pixels[:0], pixels[:, :0]):
        np.save(tmp_path / "few.npy", few)
        with pytest.raises(UserError):
            open_images(str(tmp_path / "few.npy"))
