"""Which format a file or folder has, found from what is in it."""

from __future__ import annotations

from pathlib import Path

from glossator.errors import UserError
from glossator.formats import neuronpedia, openai, parquet
from glossator.formats.base import OfUnit, SourceOfUnits, read_text

READ = "Neuronpedia's bulk folder or upload batch, SAEDashboard's batch, OpenAI's neuron records, Parquet"


def open_units(path: Path, subject: str | None = None) -> SourceOfUnits:
    """Everything a file or folder of another tool holds; subject: the model, where the files do not name it.

    Raises `UserError` for anything else, and for damaged files, with the line or unit.
    """
    if not path.exists():
        raise UserError("nothing is there", value=str(path), fix="Check the path")
    if path.is_dir():
        if neuronpedia.is_bulk(path):
            return neuronpedia.read_bulk(path)
        if parquet.is_parquet(path):
            return parquet.read(path)
        below = [one for one in sorted(path.glob("*/")) + sorted(path.glob("*/*/")) if neuronpedia.is_bulk(one)]
        if below:
            return _joined([neuronpedia.read_bulk(one) for one in below], path)
        batches = [one for one in sorted(path.glob("*.json")) if _has_features(one)]
        if batches:
            return _joined([neuronpedia.read_upload(one) for one in batches], path)
        return openai.read(path, subject)
    if _has_features(path):
        return neuronpedia.read_upload(path)
    if '"neuron_id"' in _beginning(path):
        return openai.read(path, subject)
    raise UserError("unknown file format", value=str(path), allowed=READ)


def _joined(parts: list[SourceOfUnits], path: Path) -> SourceOfUnits:
    """Several sources of one model; a unit stands in one of them."""
    models = {part.subject for part in parts}
    if len(models) > 1:
        raise UserError("units of several models", value=f"{path}: {', '.join(sorted(models))}", fix="Name one folder")
    units: dict[tuple[str, int], OfUnit] = {}
    for part in parts:
        for unit in part.units:
            if (unit.site, unit.index) in units:
                raise UserError("a unit stands in two files", value=f"{path}: {unit.site}/{unit.index}")
            units[unit.site, unit.index] = unit
    return SourceOfUnits(parts[0].subject, parts[0].format, tuple(unit for _, unit in sorted(units.items())))


def _beginning(path: Path) -> str:
    return read_text(path) if path.suffix == ".gz" else path.read_bytes()[: 1 << 20].decode("utf-8", "replace")


def _has_features(path: Path) -> bool:
    start = _beginning(path)
    return start.lstrip()[:1] == "{" and '"features"' in start and ('"modelId"' in start or '"model_id"' in start)
