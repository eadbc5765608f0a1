"""Neuronpedia's bulk layout (what it exports and imports), upload batches of its API, and SAEDashboard's batches.

    MODEL/SOURCE/{release,model,sourceset,source}.jsonl
    MODEL/SOURCE/{features,activations,explanations}/batch-N.jsonl.gz

A source is `LAYER-SET`. Its importer takes the columns of a table from the first row, so that all rows have all keys.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from glossator.errors import UserError
from glossator.files import fingerprint, write_bytes
from glossator.formats.base import (
    Excerpt,
    OfUnit,
    Said,
    SourceOfUnits,
    excerpt,
    index_of,
    lines_of,
    number_or_none,
    objects,
    read_lines,
    read_object,
    text_of,
)

BULK, UPLOAD = "neuronpedia", "neuronpedia-upload"
EACH, EACH_UPLOAD = 1024, 128
"""Units in a batch of the bulk layout, and in one request of the API, which takes no more."""
MOST_TOKENS, MOST_LOGITS, LONGEST_TEXT = 1024, 20, 512
CREATOR = "clkht01d40000jv08hvalcvly"
"""Whom Neuronpedia's own tools name where nobody is named."""
CREATED = "1970-01-01T00:00:00.000Z"
WHOLE_LIST = -1
"""Stands in `binMin` and `binContains` of the largest activations."""


def is_bulk(folder: Path) -> bool:
    return any(next((folder / table).glob("*.jsonl*"), None) is not None for table in ("activations", "features"))


def read_bulk(folder: Path) -> SourceOfUnits:
    """The folder of one source; raises `UserError` where it is none."""
    models, found = set[str](), dict[tuple[str, int], dict[str, Any]]()

    def of(row: dict[str, Any], where: str) -> dict[str, Any]:
        models.add(text_of(row, "modelId", where))
        key = text_of(row, "layer", where), index_of(row.get("index"), where)
        return found.setdefault(key, {"excerpts": [], "said": [], "density": None, "promoted": (), "suppressed": ()})

    for where, row in _rows(folder, "features"):
        unit = of(row, where)
        unit["density"] = number_or_none(row.get("frac_nonzero"), where)
        unit["promoted"] = _logits(row.get("pos_str"), row.get("pos_values"), where)
        unit["suppressed"] = _logits(row.get("neg_str"), row.get("neg_values"), where)
    for where, row in _rows(folder, "activations"):
        of(row, where)["excerpts"].append(_excerpt(row, where, "binMin", "binMax", "binContains"))
    for where, row in _rows(folder, "explanations"):
        said = Said(text_of(row, "description", where), row.get("typeName") or "", row.get("explanationModelName"))
        of(row, where)["said"].append(said)
    if not found:
        raise UserError("no unit in this folder", value=str(folder), allowed="features/ or activations/ with batches")
    return SourceOfUnits(_one(models, folder), BULK, _units(found))


def _rows(folder: Path, table: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((folder / table).glob("*.jsonl*"), key=lambda path: (len(path.name), path.name)):
        yield from read_lines(path)


def _excerpt(row: dict[str, Any], where: str, low: str, high: str, share: str) -> Excerpt:
    ends = [number_or_none(row.get(name), where) for name in (low, high, share)]
    interval = ends[0] is not None and ends[0] != WHOLE_LIST and ends[1] is not None
    found = excerpt(row.get("tokens"), row.get("values"), where)
    if not interval:
        return Excerpt(found.tokens, found.values)
    return Excerpt(found.tokens, found.values, "interval", *ends)


def _logits(tokens: Any, values: Any, where: str) -> tuple[tuple[str, float], ...]:
    if not tokens:
        return ()
    if not isinstance(tokens, list) or not isinstance(values, list) or len(tokens) != len(values):
        raise UserError("output tokens do not fit their logits", value=where)
    return _known((str(token), number_or_none(value, where)) for token, value in zip(tokens, values, strict=True))


def _known(logits: Iterable[tuple[str, float | None]]) -> tuple[tuple[str, float], ...]:
    """Those that are numbers."""
    return tuple((token, value) for token, value in logits if value is not None)


def _one(models: set[str], path: Path) -> str:
    if len(models) != 1:
        raise UserError("units of several models", value=f"{path}: {', '.join(sorted(models))}")
    return next(iter(models))


def _units(found: dict[tuple[str, int], dict[str, Any]]) -> tuple[OfUnit, ...]:
    return tuple(
        OfUnit(site, index, tuple(parts["excerpts"]), tuple(parts["said"]), parts["density"], parts["promoted"],
               parts["suppressed"])
        for (site, index), parts in sorted(found.items())
    )  # fmt: skip


def read_upload(path: Path) -> SourceOfUnits:
    """An upload batch, or a batch of SAEDashboard: one JSON object with `features`."""
    whole, found = read_object(path), dict[tuple[str, int], dict[str, Any]]()
    if not isinstance(features := whole.get("features"), list):
        raise UserError("the file has no list of features", value=str(path))
    ours = "modelId" in whole
    model = text_of(whole, "modelId" if ours else "model_id", str(path))
    site = text_of(whole, "source", str(path)) if ours else _site(whole)
    for number, row in enumerate(features):
        where = f"{path}, feature {number + 1}"
        if not isinstance(row, dict):
            raise UserError("a feature is no JSON object", value=where)
        index = index_of(row.get("index" if ours else "feature_index"), where)
        if (site, index) in found:
            raise UserError("a feature is listed twice", value=where)
        found[site, index] = (_uploaded if ours else _of_dashboard)(row, where)
    return SourceOfUnits(model, UPLOAD if ours else "saedashboard", _units(found))


def _uploaded(row: dict[str, Any], where: str) -> dict[str, Any]:
    top, bottom = (
        _known((str(one.get("token")), number_or_none(one.get("value"), where)) for one in objects(row, name, where))
        for name in ("topLogits", "bottomLogits")
    )
    return {
        "density": number_or_none(row.get("density"), where),
        "promoted": top,
        "suppressed": bottom,
        "said": [Said(text_of(one, "text", where), one.get("methodName") or "", one.get("modelName"))
                 for one in objects(row, "explanations", where)],
        "excerpts": [_excerpt(one, where, "quantileMin", "quantileMax", "quantileFraction")
                     for one in objects(row, "activations", where)],
    }  # fmt: skip


def _of_dashboard(row: dict[str, Any], where: str) -> dict[str, Any]:
    return {
        "density": number_or_none(row.get("frac_nonzero"), where),
        "promoted": _logits(row.get("pos_str"), row.get("pos_values"), where),
        "suppressed": _logits(row.get("neg_str"), row.get("neg_values"), where),
        "said": [],
        "excerpts": [
            _excerpt(one, where, "bin_min", "bin_max", "bin_contains") for one in objects(row, "activations", where)
        ],
    }


def _site(whole: dict[str, Any]) -> str:
    suffix = whole.get("sae_id_suffix")
    return f"{whole.get('layer', '')}-{whole.get('sae_set') or 'sae'}" + (f"__{suffix}" if suffix else "")


def write_bulk(folder: Path, subject: str, units: Iterable[OfUnit], about: str = "") -> int:
    """Write the units of each site below `folder/MODEL/SOURCE/`; returns how many there are. about: whence they are."""
    model, count = _name(subject), 0
    for source, some in _by_site(units):
        place, set_name = folder / model / source, source.partition("-")[2]
        made = {"creatorId": CREATOR, "createdAt": CREATED}
        write_bytes(place / "release.jsonl", lines_of([_row(RELEASE, made, name=model, description=about)]))
        row = _row(MODEL, made, id=model, displayName=model, displayNameShort=model, updatedAt=CREATED)
        write_bytes(place / "model.jsonl", lines_of([row]))
        row = _row(SOURCE_SET, made, modelId=model, name=set_name, releaseName=model, description=about)
        write_bytes(place / "sourceset.jsonl", lines_of([row]))
        row = _row(SOURCE, made, id=source, modelId=model, setName=set_name, notes=about or None)
        write_bytes(place / "source.jsonl", lines_of([row]))
        for number, batch in enumerate(_batches(some, EACH)):
            tables: dict[str, list[dict[str, Any]]] = {"features": [], "activations": [], "explanations": []}
            for unit in batch:
                own = {**made, "modelId": model, "layer": source, "index": str(unit.index)}
                tables["features"].append(_feature(unit, own, set_name))
                tables["activations"] += [_activation(unit, e, own, n) for n, e in enumerate(placed(unit))]
                tables["explanations"] += [_explanation(s, own, n) for n, s in enumerate(unit.said)]
                count += 1
            for table, rows in tables.items():
                if rows:
                    packed = gzip.compress(lines_of(rows), 5, mtime=0)
                    write_bytes(place / table / f"batch-{number}.jsonl.gz", packed)
    return count


def _feature(unit: OfUnit, own: dict[str, Any], set_name: str) -> dict[str, Any]:
    return _row(
        FEATURE, own, maxActApprox=unit.largest, vectorDefaultSteerStrength=unit.largest, sourceSetName=set_name,
        frac_nonzero=unit.density or 0.0,  # its column takes no null
        pos_str=[t for t, _ in unit.promoted], pos_values=[v for _, v in unit.promoted],
        neg_str=[t for t, _ in unit.suppressed], neg_values=[v for _, v in unit.suppressed],
    )  # fmt: skip


def placed(unit: OfUnit) -> list[Excerpt]:
    """The excerpts that the layout has a place for: the largest, those of an interval, and silent ones."""
    return [one for one in unit.excerpts if one.kind != "random" or one.largest <= 0]


def _activation(unit: OfUnit, one: Excerpt, own: dict[str, Any], number: int) -> dict[str, Any]:
    values, peak = _plain(one.values), int(np.argmax(one.values))
    bins: tuple[float | None, ...] = (WHOLE_LIST, unit.largest, WHOLE_LIST)
    if one.kind != "top":
        bins = (one.low, one.high, one.share)
    return _row(
        ACTIVATION, own, id=_id(own, "a", number), tokens=[*one.tokens], values=values, maxValue=values[peak],
        minValue=min(values), maxValueTokenIndex=peak, qualifyingTokenIndex=peak, binMin=bins[0], binMax=bins[1],
        binContains=bins[2],
    )  # fmt: skip


def _explanation(said: Said, own: dict[str, Any], number: int) -> dict[str, Any]:
    made = {name: own[name] for name in ("modelId", "layer", "index", "createdAt")}
    return _row(
        EXPLANATION, made, id=_id(own, "e", number), authorId=own["creatorId"], description=said.text,
        typeName=said.method or None, explanationModelName=said.model,
    )  # fmt: skip


def _id(own: dict[str, Any], kind: str, number: int) -> str:
    """25 characters that begin with c, as its ids do; the same unit has the same ones."""
    given = [own["modelId"], own["layer"], own["index"], kind, number]
    return f"c{fingerprint(given)}{fingerprint([*given, 1])}"[:25]


def upload_batches(subject: str, units: Iterable[OfUnit]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(source, body) of the requests `POST /api/feature/upload-batch` that upload these units. A unit without an
    excerpt is left out, as the API takes none; method and model of explanations must be known to the server."""
    for source, some in _by_site(units):
        with_excerpts = (unit for unit in some if placed(unit))
        for batch in _batches(with_excerpts, EACH_UPLOAD):
            yield (
                source,
                {
                    "modelId": _name(subject),
                    "source": source,
                    "features": [_to_upload(unit) for unit in batch],
                },
            )


def _to_upload(unit: OfUnit) -> dict[str, Any]:
    body: dict[str, Any] = {
        "index": unit.index,
        "explanations": [
            {"text": _cut(said.text), "methodName": said.method.lower() or None,
             "modelName": (said.model or "").lower() or None}
            for said in unit.said
        ],
        "activations": [
            {"tokens": [*one.tokens[:MOST_TOKENS]], "values": _plain(one.values[:MOST_TOKENS]),
             "quantileMin": one.low, "quantileMax": one.high, "quantileFraction": one.share}
            for one in placed(unit)
        ],
        "topLogits": [{"token": token, "value": value} for token, value in unit.promoted[:MOST_LOGITS]],
        "bottomLogits": [{"token": token, "value": value} for token, value in unit.suppressed[:MOST_LOGITS]],
    }  # fmt: skip
    return body if unit.density is None else {**body, "density": unit.density}


def write_uploads(folder: Path, subject: str, units: Iterable[OfUnit]) -> int:
    """Write `SOURCE-N.json`, each the body of one request; returns how many units there are."""
    numbers, count = dict[str, int](), 0
    for source, body in upload_batches(subject, units):
        number = numbers[source] = numbers.get(source, -1) + 1
        write_bytes(folder / f"{source}-{number}.json", json.dumps(body, ensure_ascii=False, allow_nan=False).encode())
        count += len(body["features"])
    return count


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _plain(values: np.ndarray) -> list[float]:
    return [float(f"{value:.6g}") for value in values.tolist()]


def _name(subject: str) -> str:
    """As ids of models there may be written: lower case, without a slash."""
    return subject.rstrip("/").rpartition("/")[2].lower()


def source_of(site: str) -> str:
    """A site as `LAYER-SET`: `mlp.12` is `12-mlp`, and `sae@resid.12` is `12-sae-resid`; a source stays as it is."""
    if site.partition("-")[0].isdigit():
        return site
    name, _, place = site.rpartition("@")
    kind, _, layer = place.rpartition(".")
    if not layer.isdigit():
        return f"0-{'-'.join(part for part in (name, place) if part)}".replace(".", "-").lower()
    return "-".join(part for part in (layer, name, kind) if part).replace(".", "-").lower()


def _by_site(units: Iterable[OfUnit]) -> Iterator[tuple[str, Sequence[OfUnit]]]:
    sites: dict[str, list[OfUnit]] = {}
    for unit in units:
        sites.setdefault(source_of(unit.site), []).append(unit)
    yield from sites.items()


def _batches(units: Iterable[OfUnit], size: int) -> Iterator[list[OfUnit]]:
    remaining = iter(units)
    while some := list(islice(remaining, size)):
        yield some


def _row(keys: dict[str, Any], own: dict[str, Any], **values: Any) -> dict[str, Any]:
    """All keys of a table, in its order."""
    return keys | {name: value for name, value in own.items() if name in keys} | values


def _keys(text: str = "", **given: Any) -> dict[str, Any]:
    return dict.fromkeys(text.split()) | given


LISTS = """
vector topkCosSimIndices topkCosSimValues neuron_alignment_indices neuron_alignment_values neuron_alignment_l1
correlated_neurons_indices correlated_neurons_pearson correlated_neurons_l1 correlated_features_indices
correlated_features_pearson correlated_features_l1 neg_str neg_values pos_str pos_values
freq_hist_data_bar_heights freq_hist_data_bar_values logits_hist_data_bar_heights logits_hist_data_bar_values
decoder_weights_dist
"""
FEATURE = _keys(
    "modelId layer index creatorId createdAt maxActApprox vectorLabel vectorDefaultSteerStrength hookName "
    "sourceSetName",
    hasVector=False, frac_nonzero=0.0, **{name: [] for name in LISTS.split()},
)  # fmt: skip
ACTIVATION = _keys(
    "id tokens index layer modelId maxValue maxValueTokenIndex minValue values creatorId dataSource dataIndex "
    "dfaTargetIndex dfaMaxValue createdAt logitContributions binMin binMax binContains qualifyingTokenIndex zIndices "
    "zValues", dfaValues=[], lossValues=[],
)  # fmt: skip
EXPLANATION = _keys(
    "id modelId layer index description authorId embedding triggeredById typeName explanationModelName notes createdAt"
)
MODEL = _keys(
    "id creatorId tlensId dimension defaultSourceSetName defaultSourceId createdAt updatedAt website", instruct=False,
    displayNameShort="", displayName="", visibility="PUBLIC", inferenceEnabled=False, layers=0, neuronsPerLayer=0,
    owner="",
)  # fmt: skip
SOURCE = _keys(
    "id modelId setName creatorId saelensConfig saelensRelease saelensSaeId hfRepoId hfFolderId defaultOfModelId "
    "num_prompts num_tokens_in_prompt dataset notes createdAt", hasDashboards=True, inferenceEnabled=False,
    inferenceHosts=[], visibility="PUBLIC", hasUmap=False, hasUmapLogSparsity=False, hasUmapClusters=False,
)  # fmt: skip
SOURCE_SET = _keys(
    "modelId name creatorId creatorEmail releaseName defaultOfModelId createdAt", hasDashboards=True,
    visibility="PRIVATE", description="", type="", creatorName="", urls=[], defaultRange=1, defaultShowBreaks=True,
    showDfa=False, showCorrelated=False, showHeadAttribution=False, showUmap=False,
)  # fmt: skip
RELEASE = _keys(
    "name creatorId descriptionShort creatorEmail creatorNameShort defaultSourceSetName defaultSourceId createdAt",
    description="", creatorName="", visibility="PUBLIC", isNewUi=False, featured=False, urls=[],
    defaultUmapSourceIds=[],
)  # fmt: skip
