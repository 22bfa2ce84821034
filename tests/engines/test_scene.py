"""The scene engine through the surface the engine host uses: jobs in, encoded pictures out."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from openpollen.core.errors import BadRequest
from openpollen.engines.base import Cancelled, CancelToken, ImageJob, ImageMade
from openpollen.engines.scene import SceneEngine
from openpollen.engines.scene.art import OWN_KEYS, PAINTED, draw, known
from openpollen.engines.scene.engine import laid_out
from openpollen.engines.scene.figures import WHOLE, whole_figure
from openpollen.engines.scene.icons import icons
from openpollen.engines.scene.lexicon import drawing_names, own_drawings
from openpollen.engines.scene.match import LetterGroups, NearestName
from openpollen.engines.scene.plan import make_plan
from openpollen.engines.scene.types import Plan, Tint

ENGINE = SceneEngine()
SIZE = 256


def made(prompt: str, **options: Any) -> ImageMade:
    options = {"width": SIZE, "height": SIZE, "seed": 5} | options
    return ENGINE.generate(ImageJob(prompt, **options), CancelToken())


def image(result: ImageMade) -> Image.Image:
    return Image.open(io.BytesIO(result.data))


@cache
def pixels(prompt: str, width: int = SIZE, height: int = SIZE, seed: int = 5, negative: str = "") -> Any:
    result = made(prompt, width=width, height=height, seed=seed, negative_prompt=negative)
    return np.asarray(image(result).convert("RGB"), np.float32) / 255


@cache
def cutout(prompt: str, seed: int = 5, size: int = SIZE) -> Any:
    return np.asarray(image(made(prompt, seed=seed, width=size, height=size, transparent=True)), np.float32) / 255


def difference(a: Any, b: Any) -> float:
    return float(np.abs(a - b).mean())


def plan_of(prompt: str, negative: str = "") -> Plan:
    return make_plan(prompt, negative)[0]


def keys(prompt: str, negative: str = "") -> list[str]:
    return [s.key for s in plan_of(prompt, negative).subjects]


def components(mask: Any) -> list[tuple[int, int, int, int, int]]:
    """Connected regions of `mask` larger than specks, seen in every other pixel: area, left, top, right, bottom."""
    mask = mask[::2, ::2]
    seen = np.zeros(mask.shape, bool)
    found: list[tuple[int, int, int, int, int]] = []
    h, w = mask.shape
    for start in zip(*np.nonzero(mask), strict=True):
        if seen[start]:
            continue
        stack, cells = [start], []
        seen[start] = True
        while stack:
            y, x = stack.pop()
            cells.append((y, x))
            for ny, nx in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if 0 <= ny < h and 0 <= nx < w and mask[ny, nx] and not seen[ny, nx]:
                    seen[ny, nx] = True
                    stack.append((ny, nx))
        ys, xs = [c[0] for c in cells], [c[1] for c in cells]
        if len(cells) > 8:
            found.append((4 * len(cells), 2 * min(xs), 2 * min(ys), 2 * max(xs) + 1, 2 * max(ys) + 1))
    return found


def share_near(picture: Any, color: Sequence[float], reach: float = 0.27) -> float:
    """Share of the opaque pixels whose colour is within `reach` (RGB distance) of `color`."""
    solid = picture[picture[..., 3] > 0.6][:, :3]
    return float((np.linalg.norm(solid - np.array(color), axis=1) < reach).mean())


def boxes(prompt: str, *hues: Sequence[float], seed: int = 5) -> list[tuple[float, float, float, float]]:
    """Bounding box (left, top, right, bottom) of the largest region of each colour in the cut-out picture."""
    picture = cutout(prompt, seed)
    out: list[tuple[float, float, float, float]] = []
    for hue in hues:
        near = (np.linalg.norm(picture[..., :3] - np.array(hue), axis=-1) < 0.3) & (picture[..., 3] > 0.6)
        _, left, top, right, bottom = max(components(near))
        out.append((left, top, right, bottom))
    return out


RED, BLUE = (0.86, 0.13, 0.15), (0.13, 0.38, 0.88)


# --- what is drawn


def test_there_are_at_least_1400_subjects_and_each_is_reachable_by_a_word() -> None:
    subjects = set(icons()) | OWN_KEYS | set(PAINTED)
    assert len(subjects) >= 1400
    assert all(known(key) for key in subjects)
    assert own_drawings() <= OWN_KEYS | set(PAINTED)
    assert len(set(drawing_names().values())) >= 1400


def test_drawings_show_something_at_any_size() -> None:
    sample = sorted(icons())[::60] + sorted(OWN_KEYS) + sorted(PAINTED)
    for key in sample:
        rgba = draw(key, 48)
        assert rgba.shape[2] == 4, key
        assert float((rgba[..., 3] > 0.5).mean()) > 0.05, key
        assert float(rgba.max()) <= 1.001, key


def test_faces_get_whole_bodies() -> None:
    for key in (
        "fox",
        "wolf",
        "lion",
        "bear",
        "panda",
        "koala",
        "frog",
        "raccoon",
        "unicorn",
        "robot",
        "man-mage",
        "boy",
    ):
        assert whole_figure(key) is not None, key
        rgba = draw(key, 96)
        assert float((rgba[70:, :, 3] > 0.5).mean()) > 0.15, key  # there is a body where a face would have ended
    assert WHOLE["cat-face"] == "cat"


@pytest.mark.parametrize("count", range(1, 10))
def test_counts_are_counts(count: int) -> None:
    word = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")[count - 1]
    noun = "apple" if count == 1 else "apples"
    for seed in (1, 2)[: 2 if count < 5 else 1]:
        assert len(components(cutout(f"{word} red {noun}", seed)[..., 3] > 0.5)) == count


@pytest.mark.parametrize(
    ("prompt", "count"),
    [("a pair of owls", 2), ("7 ducks", 7), ("a dozen eggs", 9), ("a single rose", 1), ("cats", 3), ("🍎🍎🍎🍎", 4)],
)
def test_counts_in_other_words(prompt: str, count: int) -> None:
    assert [s.count for s in plan_of(prompt).subjects] == [count]


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("twelve cats", "twelve cats"),
        ("500 balloons", "500 balloons"),
        ("a cat, a dog, a cow, a pig, a horse, a hen, a duck, a goat, a fox and an owl", "left out: fox, owl"),
        ("nine cats, nine dogs and nine cows", "24 figures"),
    ],
)
def test_what_is_more_than_can_be_drawn_is_told(prompt: str, told: str) -> None:
    assert told in make_plan(prompt)[1]


def test_counts_are_told_in_the_note_of_the_picture_only_when_they_are_cut() -> None:
    assert "12 apples" in made("12 apples", transparent=True).note
    assert made("nine apples and a 1950 car", transparent=True).note == ""


def test_colors_go_to_the_right_noun() -> None:
    house, car = plan_of("a red house and a blue car").subjects
    assert (house.key, house.tint and house.tint.name) == ("house", "red")
    assert (car.key, car.tint and car.tint.name) == ("automobile", "blue")


@pytest.mark.parametrize(
    ("prompt", "color"),
    [
        ("a red balloon", (0.86, 0.13, 0.15)),
        ("a blue unicorn", (0.13, 0.38, 0.88)),
        ("a green house", (0.16, 0.64, 0.26)),
        ("a black castle", (0.11, 0.11, 0.13)),
        ("a yellow car", (0.99, 0.83, 0.14)),
        ("a purple fox", (0.53, 0.20, 0.76)),
    ],
)
def test_asked_colors_are_in_the_picture(prompt: str, color: tuple[float, float, float]) -> None:
    assert share_near(cutout(prompt), color) > 0.3


def test_recoloring_keeps_shading_and_other_colors() -> None:
    plain, red = draw("house", 200), draw("house", 200, Tint("red", (0.86, 0.13, 0.15)))
    pane = plain[..., 2] - plain[..., 0] > 0.3
    assert pane.sum() > 100
    assert np.abs(plain - red)[pane].mean() < 0.05
    walls = red[(red[..., 0] > red[..., 2] + 0.3) & (red[..., 3] > 0.9)]
    assert walls[:, 0].std() > 0.05


def test_orange_is_a_color_before_a_noun_and_a_fruit_alone() -> None:
    cat, fruit = plan_of("an orange cat eating an orange").subjects
    assert cat.tint is not None
    assert cat.tint.name == "orange"
    assert fruit.key == "tangerine"
    assert fruit.tint is None


def test_sizes() -> None:
    def ratio(prompt: str) -> float:
        cat, apple = boxes(prompt, BLUE, RED)
        return (cat[3] - cat[1]) / (apple[3] - apple[1])

    assert ratio("a giant blue cat and a red apple") > 1.3 * ratio("a blue cat and a red apple")
    assert ratio("a tiny blue cat and a red apple") < 0.7 * ratio("a blue cat and a red apple")


# --- relations


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_on_stands_on_top(seed: int) -> None:
    ball, box = boxes("a red apple on a blue box", RED, BLUE, seed=seed)
    assert ball[3] <= box[1] + 0.35 * (box[3] - box[1])
    assert box[0] <= (ball[0] + ball[2]) / 2 <= box[2]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_above_leaves_air_between(seed: int) -> None:
    balloon, house = boxes("a red balloon above a blue house", RED, BLUE, seed=seed)
    assert balloon[3] < house[1] + 0.12 * (house[3] - house[1])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_under_is_lower(seed: int) -> None:
    dog, umbrella = boxes("a red dog under a blue umbrella", RED, BLUE, seed=seed)
    assert dog[3] > umbrella[3] - 0.5 * (umbrella[3] - umbrella[1])
    assert umbrella[1] < dog[1]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_below_a_boat_is_in_the_water_that_it_floats_on(seed: int) -> None:
    prompt = "a blue whale under a red boat"
    stage, (spot,) = laid_out(plan_of(prompt), SIZE, SIZE, seed, CancelToken())
    boat, whale = sorted(spot.group.figures, key=lambda figure: -figure.y)
    assert (boat.key, whale.key) == ("sailboat", "whale")
    assert spot.y > stage.horizon * SIZE
    assert whale.y + whale.height <= boat.y
    assert spot.y - whale.y * spot.scale <= SIZE
    assert plan_of("two sharks below a sailboat").setting == "sea"


@pytest.mark.parametrize(
    ("prompt", "kinds"),
    [
        ("two dogs fighting over a bone", {(0, "facing", 0), (1, "between", 0)}),
        ("a cat and a dog playing over a ball", {(0, "facing", 1), (2, "between", 1)}),
        ("a bird flying over a cat", {(0, "above", 1)}),
    ],
)
def test_what_they_fight_over_is_between_them(prompt: str, kinds: set[tuple[int, str, int]]) -> None:
    assert {(r.subject, r.kind, r.target) for r in plan_of(prompt).relations} == kinds


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_beside_is_side_by_side(seed: int) -> None:
    left, right = sorted(boxes("a red chair beside a blue chair", RED, BLUE, seed=seed))
    assert left[2] <= right[0] + 0.15 * (right[2] - right[0])
    assert abs(left[3] - right[3]) < 0.35 * SIZE


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_riding_sits_on_the_mount(seed: int) -> None:
    rider, mount = boxes("a red monkey riding a blue elephant", RED, BLUE, seed=seed)
    assert rider[1] < mount[1]
    assert rider[3] >= mount[1] - 3
    assert mount[0] < (rider[0] + rider[2]) / 2 < mount[2]


def test_two_things_on_one_table_share_it() -> None:
    plan = plan_of("a cup of coffee and a book on a table")
    assert {(r.subject, r.kind, r.target) for r in plan.relations} == {(0, "on", 2), (1, "on", 2)}
    assert len(components(cutout("a red apple and a red book on a table")[..., 3] > 0.5)) == 1


@pytest.mark.parametrize(
    ("prompt", "relation"),
    [
        ("a cat on a table", (0, "on", 1)),
        ("a dragon flying over a castle", (0, "above", 1)),
        ("a dog next to a tree", (0, "beside", 1)),
        ("a knight riding a horse", (0, "riding", 1)),
        ("a mouse under a chair", (0, "under", 1)),
        ("a cat in a box", (0, "in", 1)),
        ("a fox behind a rock", (0, "behind", 1)),
        ("a car in front of a house", (0, "in_front", 1)),
        ("a cat wearing a top hat", (1, "on", 0)),
        ("a girl holding a red umbrella", (1, "held", 0)),
    ],
)
def test_relation_words(prompt: str, relation: tuple[int, str, int]) -> None:
    assert [(r.subject, r.kind, r.target) for r in plan_of(prompt).relations] == [relation]


# --- the scene around


@pytest.mark.parametrize(
    ("words", "setting"),
    [
        ("in space", "space"),
        ("underwater", "underwater"),
        ("on the sea", "sea"),
        ("on a beach", "beach"),
        ("in a city street", "city"),
        ("in the woods", "forest"),
        ("in the desert", "desert"),
        ("in the mountains", "mountain"),
        ("in the snow", "snow"),
        ("in a meadow", "meadow"),
        ("in a living room", "room"),
        ("in the sky", "sky"),
        ("in the jungle", "jungle"),
        ("on a farm", "farm"),
        ("on a stage", "stage"),
        ("in the kitchen", "kitchen"),
    ],
)
def test_settings_are_understood_and_change_the_picture(words: str, setting: str) -> None:
    plan = plan_of(f"a cat {words}")
    assert (plan.setting, plan.setting_named) == (setting, True)
    assert difference(pixels(f"a cat {words}"), pixels("a cat on a hill at dusk in fog")) > 0.05


def test_time_and_weather_change_the_picture() -> None:
    day = pixels("a house in a meadow")
    night = pixels("a house in a meadow at night")
    assert night.mean() < 0.7 * day.mean()
    for words in (
        "at sunset",
        "at dawn",
        "at dusk",
        "in a storm",
        "in fog",
        "in heavy rain",
        "with snow falling, snowfall",
    ):
        assert difference(day, pixels(f"a house in a meadow {words}")) > 0.03, words


def test_styles_change_the_picture() -> None:
    plain = pixels("a fox in a forest")
    styles = (
        "oil painting",
        "watercolor",
        "pixel art",
        "pencil sketch",
        "synthwave",
        "vintage",
        "film noir",
        "comic book",
    )
    styles += ("pastel", "claymation", "stained glass")
    drawn = [pixels(f"a fox in a forest, {style}") for style in styles]
    assert all(difference(plain, other) > 0.02 for other in drawn)
    noir = drawn[styles.index("film noir")]
    assert float((noir.max(axis=-1) - noir.min(axis=-1)).mean()) < 0.05


def test_what_suggests_a_place_is_put_there() -> None:
    assert plan_of("an octopus").setting == "underwater"
    assert plan_of("a sailboat").setting == "sea"
    assert plan_of("a camel").setting == "desert"
    assert plan_of("a robot in a neon cyberpunk city").time == "night"


def test_a_prompt_without_meaning_still_gives_a_picture() -> None:
    for prompt in ("", " ", "beautiful", "!!!", "asdfgh qwerty", "\u0000\ud83d"[:1], "the of and"):
        assert float(pixels(prompt).std()) > 0.05, prompt


# --- words that are lettered


def test_quoted_text_is_lettered_on_a_sign_or_as_a_title() -> None:
    for subject in ("a sign in a meadow", "a meadow"):
        bare = pixels(subject, 512, 512)
        lettered = pixels(f'{subject} that says "OPEN LATE"', 512, 512)
        changed = np.abs(bare - lettered).max(axis=-1) > 0.25
        assert 0.002 < changed.mean() < 0.25
    assert plan_of('a sign that says "OPEN LATE"').subjects[0].texts == ("OPEN LATE",)
    assert plan_of("a poster “Été à Paris”").subjects[0].texts == ("Été à Paris",)


def test_different_words_give_different_lettering() -> None:
    assert difference(pixels('a billboard "YES"'), pixels('a billboard "NO"')) > 0.002


# --- words the engine does not know


def test_unknown_nouns_are_told_and_not_replaced() -> None:
    result = made("a gizmotron beside a cat")
    assert "gizmotron" in result.note
    assert keys("a gizmotron beside a cat") == ["cat"]
    assert made("a cat beside a dog").note == ""


def test_a_misspelt_noun_is_drawn_and_told() -> None:
    result = made("an elephent in a meadow")
    assert "elephant" in result.note


def test_nearest_name_needs_a_clear_lead() -> None:
    names = {"elephant": "elephant", "telephone": "telephone", "cat": "cat", "car": "automobile"}
    matcher = NearestName(LetterGroups(), names, 0.5, 0.1)
    assert matcher.closest("elephants") == "elephant"
    assert matcher.closest("caz") is None  # as near to "cat" as to "car"
    assert matcher.closest("xylophone quartet") is None


@pytest.mark.parametrize(
    ("prompt", "subject", "tint", "setting"),
    [
        ("un gato rojo en la playa", "cat", "red", "beach"),
        ("deux chiens noirs dans la forêt", "dog", "black", "forest"),
        ("ein grünes Auto in der Stadt", "automobile", "green", "city"),
        ("un cavallo bianco nel deserto", "horse", "white", "desert"),
        ("um cachorro azul na praia", "dog", "blue", "beach"),
    ],
)
def test_common_words_of_other_languages(prompt: str, subject: str, tint: str, setting: str) -> None:
    plan = plan_of(prompt)
    assert [s.key for s in plan.subjects] == [subject]
    found = plan.subjects[0].tint
    assert found is not None
    assert found.name == tint
    assert plan.setting == setting


def test_foreign_numbers_and_relations() -> None:
    plan = plan_of("tre gatti sul tavolo")
    assert [(s.key, s.count) for s in plan.subjects] == [("cat", 3), ("table", 1)]
    assert [(r.subject, r.kind, r.target) for r in plan.relations] == [(0, "on", 1)]


def test_one_emoji_draws_its_subject() -> None:
    assert keys("🦊") == ["fox"]
    assert keys("👩🏽‍🚀") == ["woman-astronaut"]
    assert difference(pixels("🦊"), pixels("🐙")) > 0.03


def test_negative_prompt_and_without() -> None:
    assert keys("a cat and a dog", "dog") == ["cat"]
    assert keys("a cat without a dog") == ["cat"]
    assert plan_of("a house in the rain", "rain").weather == "clear"
    assert difference(pixels("a cat and a dog"), pixels("a cat and a dog", negative="dog")) > 0.003


# --- promises about every picture


def test_same_seed_same_bytes_and_other_seeds_other_pictures() -> None:
    first, again = made("a castle by a lake", seed=11), made("a castle by a lake", seed=11)
    assert first.data == again.data
    assert difference(pixels("a castle by a lake", seed=11), pixels("a castle by a lake", seed=12)) > 0.03
    drawn = made("a castle by a lake", seed=None)
    assert made("a castle by a lake", seed=drawn.seed).data == drawn.data


def test_bytes_do_not_depend_on_the_process() -> None:
    program = (
        "import hashlib; from openpollen.engines.scene import SceneEngine; "
        "from openpollen.engines.base import ImageJob, CancelToken; "
        "made = SceneEngine().generate(ImageJob('two cats in a garden', 128, 128, 3), CancelToken()); "
        "print(hashlib.sha256(made.data).hexdigest())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": s}
        ).stdout
        for s in ("1", "2")
    }
    assert len(runs) == 1


@pytest.mark.parametrize("size", [(64, 64), (2048, 200), (64, 300), (333, 257)])
def test_any_size(size: tuple[int, int]) -> None:
    result = made("a red house and a dog", width=size[0], height=size[1])
    assert image(result).size == size
    assert (result.width, result.height) == size


def test_sizes_out_of_range_are_refused() -> None:
    for bad in (0, -5, 5000):
        with pytest.raises(BadRequest, match="width"):
            made("a cat", width=bad)


def test_transparent_is_subject_on_nothing() -> None:
    result = made("a fox in a forest", transparent=True, output_format="jpeg")
    assert result.mime == "image/png"
    assert "PNG" in result.note
    picture = np.asarray(image(result))
    assert picture.shape == (SIZE, SIZE, 4)
    alpha = picture[..., 3]
    assert alpha[0, 0] == alpha[-1, -1] == alpha[0, -1] == 0
    assert 0.08 < (alpha > 200).mean() < 0.8


def test_metadata_tells_how_it_was_made() -> None:
    text = image(made("a cat in Łódź 🐱", seed=77)).text  # type: ignore[attr-defined]  # only PNG images have it
    assert text["prompt"] == "a cat in Łódź 🐱"
    assert (text["seed"], text["engine"]) == ("77", "scene")
    assert text["software"].startswith("OpenPollen ")
    exif = image(made("a cat", seed=77, output_format="jpeg")).getexif()
    assert exif[0x010E] == "a cat"
    assert "seed: 77" in exif[0x9C9C].decode("utf-16-le")


def test_metadata_can_be_left_out() -> None:
    assert b"secret prompt" not in made("a secret prompt cat", metadata=False).data
    assert not image(made("a cat", metadata=False)).text  # type: ignore[attr-defined]  # only PNG images have it
    assert not image(made("a cat", metadata=False, output_format="jpeg")).getexif()


def test_jpeg_is_jpeg() -> None:
    result = made("a cat", output_format="jpeg")
    assert result.mime == "image/jpeg"
    assert image(result).format == "JPEG"


def test_a_cancelled_job_stops() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        ENGINE.generate(ImageJob("a cat", 128, 128, 1), token)


def test_a_ten_thousand_character_prompt() -> None:
    prompt = ("a red cat on a blue table beside a zorblax, " * 400)[:10_000]
    result = made(prompt, output_format="jpeg", width=256, height=256)
    assert image(result).size == (256, 256)
    assert len(plan_of(prompt).subjects) <= 8


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_any_text_makes_a_plan(prompt: str) -> None:
    plan, _ = make_plan(prompt)
    assert all(known(s.key) for s in plan.subjects)
    assert all(1 <= s.count <= 9 for s in plan.subjects)
