"""What pages of experiments show: the same as the transcript and the table say, and nothing that is not there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from explorer_cases import shards_of
from glossator.agents import Budget, FunctionUnderTest, Makers, SceneStudio, Tools, Transcript, experiment
from glossator.agents.answers import Conclusion
from glossator.agents.retold import pictures, retold
from glossator.agents.under_test import ImageUnderTest
from glossator.errors import UserError
from glossator.explorer.export import experiment_file, export_folder
from glossator.explorer.pages.experiment import LOOKING, TESTING, page_of_steps, smaller
from glossator.explorer.pages.experiments import experiment_list, experiment_page
from glossator.explorer.pages.parts import to_json
from glossator.scenes.pictures import Picture, Renderer
from glossator.store.adding import adding
from glossator.study import Study
from test_study_store import RESULTS, stored
from toy_scenes import ToyStudio, toy_unit

STUDIO = Makers(ToyStudio())
EVIL = "<img src=x onerror=alert(1)></script>\u202e"


def done(question: str = "What?") -> Transcript:
    transcript = Transcript()
    unit = toy_unit(lambda has: float("dog" in has), seed=0)
    experiment(unit, STUDIO, budget=Budget(inputs=100), transcript=transcript, question=question)
    return transcript


def test_a_page_says_what_the_transcript_says() -> None:
    transcript = done()
    answer, page = transcript.steps[-1]["result"], page_of_steps(transcript.steps)
    assert (page.headline, page.program, page.ended) == (answer["headline"], answer["program"], True)
    for one, told in zip(answer["findings"], page.hypotheses, strict=True):
        assert (told.id, told.verdict, told.successes) == (one["id"], one["verdict"], one["successes"])
        assert told.e_above == pytest.approx(one["e_above"], rel=1e-3)
    for hypothesis in page.hypotheses:
        for test in hypothesis.tests:
            assert test.done is not None and hypothesis.registered is not None
            assert hypothesis.registered < test.registered < test.done  # before data
        went = [one for test in hypothesis.tests for one in test.went]
        assert (sum(map(bool, went)), len(went)) == (hypothesis.successes, hypothesis.trials)
    assert [one.name for one in page.rounds] == [LOOKING, TESTING]


def test_every_response_stands_at_its_input() -> None:
    """Against the tools themselves, which hold what each id responded."""
    transcript = Transcript()
    unit = toy_unit(lambda has: float("dog" in has) + 0.5 * ("red" in has), seed=3)
    tools = Tools(unit, STUDIO, Budget(inputs=100), transcript=transcript)
    seen = tools.dataset_exemplars(3)
    drawn = [one["id"] for one in tools.text2image(["dog", "red", "dog red", "cat"])]
    tools.call_unit([drawn[1], seen[0]["id"]])
    pair = tools.edit_images([drawn[0]], ["remove dog"])[0]
    name = tools.register_hypothesis("dogs")
    tools.test_hypothesis(name, [drawn[2]], [drawn[3]])
    told = retold(transcript.steps)
    assert [*told.inputs] == [*tools.items.all()]
    for one in told.inputs:
        known = tools.items.told(one)
        assert (told.inputs[one].get("value"), told.inputs[one].get("percentile")) == (
            known.get("value"), known.get("percentile"),
        )  # fmt: skip
    page = page_of_steps(transcript.steps)
    (edit,) = [step for r in page.rounds for step in r.steps if step.kind == "edit_images"]
    assert edit.pairs == [[pair["original"], pair["edited"]]] and not page.ended


def test_texts_that_an_agent_made_are_told() -> None:
    transcript = Transcript()
    texts = [f"{word} number {i}" for i in range(30) for word in ("cats", "dogs")]
    unit = FunctionUnderTest("dogs?", "texts", lambda items: [float("dogs" in text) for text in items], texts)
    tools = Tools(unit, budget=Budget(inputs=60), transcript=transcript)
    tools.dataset_exemplars(2)
    made = tools.generate_text("dogs", 2)
    tools.edit_text([made[0]["id"]], "dogs", "birds")
    (own,) = tools.call_unit(["one text of my own"])
    told = retold(transcript.steps)
    assert [*told.inputs] == [*tools.items.all()]
    for name in told.inputs:
        if "value" in told.inputs[name]:
            assert told.inputs[name]["text"] == tools.items.text_of(name)
    assert told.inputs[own["id"]]["text"] == "one text of my own"


def test_rounds_of_code_hold_what_was_asked_and_what_came_of_it() -> None:
    from glossator.agents.driven import PersonPolicy

    replies = iter(['log_experiment("first look")', "print(1 + 1)", "final_answer(None)"])
    transcript = Transcript()
    unit = toy_unit(lambda has: float("dog" in has), seed=0)
    experiment(unit, STUDIO, PersonPolicy(lambda: next(replies), lambda text: None), transcript=transcript)
    page = page_of_steps(transcript.steps)
    _, *rounds = page.rounds  # what is shown before the first
    assert [one.name for one in rounds] == ["Round 1", "Round 2", "Round 3"]
    assert [step.kind for step in rounds[0].steps] == ["ask", "log", "code"]
    assert rounds[0].steps[1].text == "first look"
    assert [step.reply for step in rounds[1].steps if step.kind == "code"] == ["2\n"]


def test_an_experiment_without_its_transcript_is_told_from_the_table(tmp_path: Path) -> None:
    with stored(tmp_path / "s", RESULTS) as study:
        unit = next(study.results()).unit
        transcript = tmp_path / "elsewhere" / "t.jsonl"
        with adding(study) as more:

            class Rows:
                def experiment(self, kind, request, *, prediction=None):
                    return more.experiment(kind, request, unit=unit, prediction=prediction)

                def result(self, number, result):
                    more.result(number, result)

            for seed in (0, 1):
                row = Rows().experiment("agent", {"question": "What?", "policy": "scripted", "seed": seed,
                                                  "transcript": str(transcript)})  # fmt: skip
                tested = toy_unit(lambda has: float("dog" in has), seed=seed)
                answer = experiment(tested, STUDIO, budget=Budget(inputs=100), seed=seed, rows=Rows())
                Rows().result(row, answer.as_dict())
        first, second = experiment_list(study).experiments
        assert [experiment_list(study, limit=1).after, experiment_list(study, after=first.number).total] == [1, 2]
        for listed, seed in ((first, 0), (second, 1)):
            page = experiment_page(study, listed.number)
            result = json.loads(study.query("SELECT result FROM experiments WHERE id = ?", listed.number)[0][0])
            assert (page.headline, page.seed) == (result["headline"], seed) and page.why_short
            assert sum(len(t.pairs) for h in page.hypotheses for t in h.tests) == sum(
                one["trials"] for one in result["findings"]
            )
        # A row may name any file: only those in the study are read.
        transcript.parent.mkdir()
        transcript.write_text(done().text())
        assert experiment_page(study, first.number).why_short
        (study.folder / "agent").mkdir()
        (study.folder / "agent" / "t.jsonl").symlink_to(transcript)
        assert experiment_page(study, first.number).why_short
        (study.folder / "agent" / "t.jsonl").unlink()
        (study.folder / "agent" / "t.jsonl").write_text(done().text())
        page = experiment_page(study, first.number)
        assert page.why_short is None and page.rounds
        with pytest.raises(UserError, match="no such experiment"):
            experiment_page(study, 99_999)
        export_folder(study, tmp_path / "out")
    shards = shards_of(tmp_path / "out")
    assert [one["number"] for one in shards["experiments"]["experiments"]] == [first.number, second.number]
    assert shards[f"experiment-{first.number}"] == json.loads(to_json(page))
    assert shards["study"]["page"]["experiments"] == 2


def test_a_file_of_one_experiment_holds_it_inert(tmp_path: Path) -> None:
    steps = done(EVIL).steps
    experiment_file(tmp_path / "a.html", steps, {"i1": np.zeros((256, 200, 3), np.uint8)})
    text = (tmp_path / "a.html").read_text()
    assert "onerror=" not in text and "http://" not in text.replace("http://www.w3.org", "")
    page = shards_of(tmp_path / "a.html")["experiment"]
    assert page["question"] == EVIL and page["inputs"]["i1"]["picture"].startswith("data:image/png;base64,")


class Counting(SceneStudio):
    times = 0

    def draw(self, prompts: Sequence[str], seed: int) -> list[Picture]:
        self.times += 1
        return super().draw(prompts, seed)

    def edit(self, pictures: Sequence[Picture], instructions: Sequence[str], seed: int) -> list[Picture]:
        self.times += 1
        return super().edit(pictures, instructions, seed)


def test_pictures_are_drawn_again_with_the_cells_where_the_unit_was_active(tmp_path: Path) -> None:
    from glossator.agents import image_unit
    from glossator.study import StudySpec, run_study
    from glossator.study.context import StudyContext
    from glossator.units import Unit

    spec = StudySpec(subject="renders-cnn", sites=("layers.1",), units=(3,), corpus="renders:60")
    study = run_study(spec, tmp_path / "s", progress=False)
    assert isinstance(study, Study)
    unit = Unit("renders-cnn", "layers.1", 3)
    tools = StudyContext.to_show(study)
    evidence, studio = tools.evidence(unit).explain, SceneStudio(Renderer(side=48))
    tested = image_unit(tools.resources.subject, unit, evidence)
    transcript = Transcript()

    def policy(using: Tools, _: Conclusion) -> None:
        seen = using.dataset_exemplars(2)
        assert all("cells" not in one for one in seen)  # they are for people
        drawn = using.text2image(["a red dog on grass", "a cat"])
        using.call_unit([drawn[0]["id"], drawn[1]["id"]])
        using.edit_images([seen[0]["id"]], ["make it night"])

    experiment(tested, Makers(studio), policy, transcript=transcript)
    told, counting = retold(transcript.steps), Counting(Renderer(side=48))
    shown = pictures(told, ImageUnderTest(unit, evidence, lambda images: pytest.fail("it was run")), counting)
    assert counting.times == 2  # once a step, not once a picture
    assert [*shown] == [*told.inputs] == ["i1", "i2", "i3", "i4", "i5"]
    for name, picture in shown.items():
        (response,) = tested.respond([picture])
        assert told.inputs[name]["value"] == pytest.approx(response.value, rel=1e-3)
        cells = np.array([[cell == "1" for cell in row] for row in told.inputs[name]["cells"]])
        assert cells.shape == response.cells.shape and (cells != response.cells).mean() < 0.01  # recorded in float16


def test_pictures_on_pages_are_small() -> None:
    pixels = np.arange(224 * 200 * 3, dtype=np.int64).reshape(224, 200, 3).astype(np.uint8)
    assert smaller(pixels).shape == (112, 100, 3)
    np.testing.assert_array_equal(smaller(pixels[:64, :64]), pixels[:64, :64])
