"""The endpoints of the explorer's JSON API: for each its parameters, its answer, and the function that makes it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from glossator.explorer.library import Library
from glossator.explorer.opened import By, OpenedStudy, StudyListed
from glossator.explorer.pages.compare import Comparison
from glossator.explorer.pages.evidence import ScoreEvidence
from glossator.explorer.pages.experiment import ExperimentPage
from glossator.explorer.pages.experiments import MOST_LISTED, ExperimentList, experiment_list
from glossator.explorer.pages.lists import MOST_POINTS, MOST_ROWS, Points, UnitList, UnitLists, points, unit_list
from glossator.explorer.pages.live import Attempt, Rescored, SteeringShown, StrongUnit
from glossator.explorer.pages.meaning import CloseUnits
from glossator.explorer.pages.neighbours import Neighbours
from glossator.explorer.pages.outputs import OutputTokens
from glossator.explorer.pages.readouts import ReadoutsPage
from glossator.explorer.pages.study import Distribution, EstimateShown, StudyPage
from glossator.explorer.pages.tasks import Kept, Task, TasksListed, TasksShown
from glossator.explorer.pages.unit import UnitPage, unit_page
from glossator.explorer.pages.voxels import VoxelsPage
from glossator.explorer.pages.windows import UnitWindows
from glossator.store.lists import Wanted
from glossator.store.study import unit_of

LONGEST_TEXT, MOST_WRITTEN = 20_000, 100
Name = Annotated[str, Field(max_length=500)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Axis = Literal["score", "causal", "q", "density"]


@dataclass(frozen=True)
class Nothing:
    pass


@dataclass(frozen=True)
class OfScore:
    score: Name


@dataclass(frozen=True)
class OfPoints:
    x: Axis = "score"
    y: Axis = "causal"
    most: Annotated[int, Field(ge=1, le=MOST_POINTS)] = MOST_POINTS


@dataclass(frozen=True, kw_only=True)
class Filters:
    """list: of a reader, such as starred."""

    site: Name | None = None
    polarity: Literal["+", "-", "±"] | None = None
    status: Name | None = None
    method: Name | None = None
    list: Name | None = None
    score_from: Number | None = None
    score_to: Number | None = None
    causal_from: Number | None = None
    causal_to: Number | None = None
    q_from: Number | None = None
    q_to: Number | None = None
    density_from: Number | None = None
    density_to: Number | None = None

    def wanted(self, opened: OpenedStudy, words: str | None = None) -> Wanted:
        where = {name: value for name in ("site", "polarity", "status", "method") if (value := getattr(self, name))}
        ends = {
            name: (getattr(self, f"{name}_from"), getattr(self, f"{name}_to"))
            for name in ("score", "causal", "q", "density")
        }
        between = {name: pair for name, pair in ends.items() if pair != (None, None)}
        places = None if self.list is None else opened.places_in(self.list)
        return Wanted(where, between, words if words and words.strip() else None, places)


@dataclass(frozen=True, kw_only=True)
class OfUnits(Filters):
    """order: by default the best first, in the study's order where there are no scores; words: all in one explanation,
    the last may be the beginning of one, or the name of a unit; list: of a reader, such as starred; after: the place to
    go on from."""

    order: Literal["place", "best", "worst", "causal", "q"] | None = None
    words: Name | None = None
    after: Annotated[int, Field(ge=1, lt=2**53)] | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 50


@dataclass(frozen=True, kw_only=True)
class OfMeaning(Filters):
    text: Annotated[str, Field(min_length=1, max_length=500)]
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 50


@dataclass(frozen=True)
class OfUnit:
    """unit: its name or the end of it."""

    unit: Name


@dataclass(frozen=True)
class OfWindows:
    """predict: whether the explanation is simulated on them, which may take a while."""

    unit: Name
    predict: bool = True


@dataclass(frozen=True)
class OfNeighbours:
    """by: firing on the same inputs, weights by what they write (which loads the model for its own units), meaning of
    explanations."""

    unit: Name
    by: By = "firing"


@dataclass(frozen=True)
class OfEvidence:
    """method: of the explanation that has the score."""

    unit: Name
    method: Name
    score: Name


@dataclass(frozen=True)
class OfExperiments:
    """unit: its name or the end of it, by default all; after: the number to go on from."""

    unit: Name | None = None
    after: Annotated[int, Field(ge=0, lt=2**53)] = 0
    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = MOST_LISTED


@dataclass(frozen=True)
class OfExperiment:
    number: Annotated[int, Field(ge=1, lt=2**53)]


@dataclass(frozen=True)
class ToList:
    """list: its name, starred for the units with a star; inside: whether the unit is to be in it."""

    unit: Name
    list: Name
    inside: bool = True


@dataclass(frozen=True)
class OfCompare:
    """a, b: studies; without a method the best one of each unit."""

    a: Name
    b: Name
    a_method: Name | None = None
    b_method: Name | None = None
    a_site: Name | None = None
    b_site: Name | None = None
    score: Name | None = None


@dataclass(frozen=True)
class ToTry:
    unit: Name
    text: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]


@dataclass(frozen=True)
class ToFindStrongest:
    """at: a token of the text, counted from 0."""

    site: Name
    text: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
    at: Annotated[int, Field(ge=0, le=LONGEST_TEXT)]
    polarity: Literal["+", "-", "±"] = "+"


@dataclass(frozen=True)
class ToDraw:
    """sentence: such as "two small red dogs on grass at night"; the same seed draws the same scene."""

    unit: Name
    sentence: Annotated[str, Field(min_length=1, max_length=500)]
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


@dataclass(frozen=True)
class ToSteer:
    """nats: how far the push moves the next-token distributions on the text; temperature: 0 for likeliest tokens."""

    unit: Name
    text: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
    nats: Annotated[float, Field(gt=0, le=20, allow_inf_nan=False)] = 1.0
    tokens: Annotated[int, Field(ge=1, le=MOST_WRITTEN)] = 24
    temperature: Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


@dataclass(frozen=True)
class OfTasks:
    """set: the id of a task set that was drawn before."""

    set: Name


@dataclass(frozen=True)
class ToAsk:
    """units: a number to draw at random, `all`, or names between commas; by default enough for one sitting."""

    task: Task
    units: Name | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


@dataclass(frozen=True)
class ToAnswer:
    """As the file that the label page saves; replace: whether the answers take the place of earlier ones by the same
    annotator."""

    format: Name
    tasks: Name
    study: Name
    task: Name
    rater: Name
    answers: dict[str, list[int | None] | str]
    replace: bool = False


@dataclass(frozen=True)
class ToScore:
    """words: whether the hypothesis is words rather than a program; None to find out from how it begins."""

    unit: Name
    hypothesis: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
    words: bool | None = None


@dataclass(frozen=True)
class Problem:
    """error: what is wrong, and what to do."""

    error: str


@dataclass(frozen=True)
class Endpoint:
    """given: the type of its parameters, of the query or, for POST, of the body; answer: the type of what it makes;
    about: one sentence. do: gets the library, the name of a study (empty where the path has none) and parameters."""

    method: Literal["GET", "POST"]
    path: str
    given: type
    answer: Any
    about: str
    do: Callable[[Library, str, Any], Any]


def _points(library: Library, study: str, given: OfPoints) -> Points:
    return points(library[study].study, given.x, given.y, given.most)


def _units(library: Library, study: str, given: OfUnits) -> UnitList:
    opened = library[study]
    order = given.order or (None if given.list is None else "place")  # of a list also units without a score
    return unit_list(opened.study, given.wanted(opened, given.words), order, given.after, given.limit)


def _meaning(library: Library, study: str, given: OfMeaning) -> CloseUnits:
    opened = library[study]
    return opened.close_to(given.text, given.limit, given.wanted(opened))


def _unit(library: Library, study: str, given: OfUnit) -> UnitPage:
    opened = library[study].study
    unit = unit_of(opened, given.unit)
    people = (library[study].people() or {}).get("units", {})
    return unit_page(opened, unit, people.get(str(unit)))


def _experiments(library: Library, study: str, given: OfExperiments) -> ExperimentList:
    opened = library[study].study
    unit = unit_of(opened, given.unit) if given.unit else None
    return experiment_list(opened, unit, given.after, given.limit)


def _as_file(given: ToAnswer) -> dict[str, Any]:
    return {name: getattr(given, name) for name in ("format", "tasks", "study", "task", "rater", "answers")}


def _compare(library: Library, _: str, given: OfCompare) -> Comparison:
    a, b = ((name, method or None, site or None) for name, method, site in (
        (given.a, given.a_method, given.a_site), (given.b, given.b_method, given.b_site)))  # fmt: skip
    return library.compare(a, b, given.score or None)


OF_STUDY = "/api/studies/{study}"
ENDPOINTS = (
    Endpoint("GET", "/api/studies", Nothing, list[StudyListed], "The studies that are served.",
             lambda library, _, given: library.listed()),
    Endpoint("GET", OF_STUDY, Nothing, StudyPage, "What a study is, and how it was made.",
             lambda library, study, given: library[study].page()),
    Endpoint("GET", f"{OF_STUDY}/distribution", OfScore, Distribution, "One score over all units, beside baselines.",
             lambda library, study, given: library[study].distribution(given.score)),
    Endpoint("GET", f"{OF_STUDY}/agreement", Nothing, EstimateShown | None,
             "Rank correlation of the observational with the causal score.",
             lambda library, study, given: library[study].agreement()),
    Endpoint("GET", f"{OF_STUDY}/points", OfPoints, Points, "Two numbers of each unit.", _points),
    Endpoint("GET", f"{OF_STUDY}/units", OfUnits, UnitList, "Units, ordered, filtered and searched.", _units),
    Endpoint("GET", f"{OF_STUDY}/lists", Nothing, UnitLists, "Lists of units that readers made.",
             lambda library, study, given: library[study].lists()),
    Endpoint("POST", f"{OF_STUDY}/listing", ToList, UnitLists, "Put a unit into a list, or take it out.",
             lambda library, study, given: library[study].put(given.list, given.unit, given.inside)),
    Endpoint("GET", f"{OF_STUDY}/meaning", OfMeaning, CloseUnits, "Units whose explanations are close to a text.",
             _meaning),
    Endpoint("GET", f"{OF_STUDY}/unit", OfUnit, UnitPage, "One unit with its explanations and all scores.", _unit),
    Endpoint("GET", f"{OF_STUDY}/windows", OfWindows, UnitWindows,
             "Test inputs of a unit, with true and predicted activations.",
             lambda library, study, given: library[study].windows(given.unit, given.predict)),
    Endpoint("GET", f"{OF_STUDY}/readouts", Nothing, ReadoutsPage, "Directions and dictionaries; how they were made.",
             lambda library, study, given: library[study].readouts()),
    Endpoint("GET", f"{OF_STUDY}/voxels", Nothing, VoxelsPage, "How well voxels are predicted; topics of explanations.",
             lambda library, study, given: library[study].voxels()),
    Endpoint("GET", f"{OF_STUDY}/neighbours", OfNeighbours, Neighbours, "Units that fire, write or mean alike.",
             lambda library, study, given: library[study].neighbours(given.unit, given.by)),
    Endpoint("GET", f"{OF_STUDY}/output", OfUnit, OutputTokens, "The tokens that a unit makes likely, by its weights.",
             lambda library, study, given: library[study].runs.output(given.unit)),
    Endpoint("GET", f"{OF_STUDY}/evidence", OfEvidence, ScoreEvidence, "Windows or answers that a score is made of.",
             lambda library, study, given: library[study].evidence(given.unit, given.method, given.score)),
    Endpoint("GET", f"{OF_STUDY}/experiments", OfExperiments, ExperimentList,
             "Experiments of a study or of one unit.", _experiments),
    Endpoint("GET", f"{OF_STUDY}/experiment", OfExperiment, ExperimentPage,
             "One experiment: hypotheses, predictions, verdicts, every step, the answer.",
             lambda library, study, given: library[study].experiment(given.number)),
    Endpoint("GET", "/api/compare", OfCompare, Comparison, "One score of two methods, sites or studies.", _compare),
    Endpoint("POST", f"{OF_STUDY}/try", ToTry, Attempt, "A unit on a text of one's own.",
             lambda library, study, given: library[study].runs.attempt(given.unit, given.text)),
    Endpoint("POST", f"{OF_STUDY}/strongest", ToFindStrongest, list[StrongUnit],
             "The strongest units of a site at one token of a text.",
             lambda library, study, given: library[study].runs.strongest(
                 given.site, given.polarity, given.text, given.at)),
    Endpoint("GET", f"{OF_STUDY}/tasks", Nothing, list[TasksListed], "Tasks for annotators that were drawn before.",
             lambda library, study, given: library[study].task_sets()),
    Endpoint("GET", f"{OF_STUDY}/task", OfTasks, TasksShown, "One of them.",
             lambda library, study, given: library[study].task_set(given.set)),
    Endpoint("POST", f"{OF_STUDY}/draw", ToAsk, TasksShown, "Draw blinded tasks; the key stays in the study.",
             lambda library, study, given: library[study].draw_tasks(given.task, given.units, given.seed)),
    Endpoint("POST", f"{OF_STUDY}/answers", ToAnswer, Kept, "Keep an annotator's answers in the study, and score them.",
             lambda library, study, given: library[study].keep_answers(_as_file(given), given.replace)),
    Endpoint("POST", f"{OF_STUDY}/scene", ToDraw, Attempt, "A unit on a scene that a sentence describes.",
             lambda library, study, given: library[study].runs.scene(given.unit, given.sentence, given.seed)),
    Endpoint("POST", f"{OF_STUDY}/steer", ToSteer, SteeringShown,
             "What the model writes with a unit pushed up and down, beside an unsteered run and a random direction.",
             lambda library, study, given: library[study].runs.steered(
                 given.unit, given.text, given.nats, given.tokens, given.temperature, given.seed)),
    Endpoint("POST", f"{OF_STUDY}/score", ToScore, Rescored, "An explanation of one's own, scored on the test split.",
             lambda library, study, given: library[study].runs.score(given.unit, given.hypothesis, given.words)),
)  # fmt: skip


def openapi() -> dict[str, Any]:
    """The API as OpenAPI 3.1, from the types of its endpoints."""
    from pydantic import TypeAdapter

    from glossator import __version__

    kinds = [*dict.fromkeys((Problem, *(e.answer for e in ENDPOINTS), *(e.given for e in ENDPOINTS)))]
    modes = [
        (i, "validation" if kind in {e.given for e in ENDPOINTS} else "serialization", TypeAdapter(kind))
        for i, kind in enumerate(kinds)
    ]
    found, shared = TypeAdapter.json_schemas(modes, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    schemas = {kinds[i]: schema for (i, _), schema in found.items()}
    parts = shared.get("$defs", {})
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        own: dict[str, Any] = {
            "summary": endpoint.about,
            "operationId": "_".join(part for part in re.split(r"\W+|api|study$", endpoint.path) if part),
            "parameters": [],
            "responses": {"200": _json("What was asked for.", schemas[endpoint.answer])}
            | {code: _json(why, schemas[Problem]) for code, why in PROBLEMS.items()},
        }
        if "{study}" in endpoint.path:
            own["parameters"].append({"name": "study", "in": "path", "required": True, "schema": {"type": "string"}})
        given = schemas[endpoint.given]
        given = parts[given["$ref"].rpartition("/")[2]] if "$ref" in given else given
        if endpoint.method == "POST":
            own["requestBody"] = {
                "required": True,
                "content": {"application/json": {"schema": schemas[endpoint.given]}},
            }
        else:
            needed = given.get("required", ())
            own["parameters"] += [
                {"name": name, "in": "query", "required": name in needed, "schema": schema}
                for name, schema in given.get("properties", {}).items()
            ]
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = own
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Glossator explorer",
            "version": __version__,
            "description": ABOUT,
        },
        "paths": paths,
        "components": {"schemas": parts},
    }


ABOUT = "Studies as JSON. Nothing is written but what annotators are asked and answer."
PROBLEMS = {
    "400": "A parameter is wrong, or the study cannot answer.", "403": "No token, or a foreign page asked.",
    "404": "No such study or unit.", "413": "The body is too large.", "503": "The study is being written; ask again.",
}  # fmt: skip


def _json(about: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": about, "content": {"application/json": {"schema": schema}}}
