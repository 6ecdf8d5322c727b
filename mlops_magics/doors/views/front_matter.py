"""What other tools read at the head of a Markdown file: the metadata block of a model card.

Its fields are those of the Hugging Face Hub. Only what is on record stands in it.
"""

from __future__ import annotations

import math
import re
from typing import Any

from mlops_magics.records import ModelCard, Record


def of(record: Record) -> str:
    """The block between its two lines of dashes; empty for what has none."""
    if not isinstance(record, ModelCard):
        return ""
    import yaml

    text = yaml.safe_dump(block(record), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{text}---\n\n"


def block(record: ModelCard) -> dict[str, Any]:
    """The fields of the block."""
    told = record.metadata
    task = str(told.get("task", ""))
    kind = f"tabular-{task}" if task and told.get("columns") else ""
    estimator = str(told.get("estimator", "")).partition(" ")[0]
    metrics = {k: float(v) for k, v in told.get("metrics", {}).items() if math.isfinite(v)}
    found: dict[str, Any] = {
        "model_name": record.model,
        "license": told.get("license"),
        "library_name": told.get("library"),
        "pipeline_tag": kind,
        "tags": [t for t in (told.get("library"), task, estimator, "mlops-magics") if t],
        "metrics": list(metrics),
    }
    # The Hub's index wants a task and data beside each figure, and is left out without them.
    if metrics and task and told.get("dataset"):
        data = str(told["dataset"])
        result = {
            "task": {"type": kind or task},
            "dataset": {"name": data, "type": re.sub(r"[^A-Za-z0-9_.-]+", "-", data).strip("-")},
            "metrics": [{"type": name, "value": value} for name, value in metrics.items()],
        }
        found["model-index"] = [{"name": record.model, "results": [result]}]
    return {key: value for key, value in found.items() if value}
